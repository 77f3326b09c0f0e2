"""The documents: what they link to is there, what they name is what the code has, what they tell to
type works."""
