"""The generator of the committed drawings, and the drawings."""
