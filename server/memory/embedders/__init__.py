"""The adapters of the embeddings port, one module each, and the rules that all of them keep.

Which adapter serves is decided in `server.memory.embeddings`; a text becomes a vector here, and
nothing is stored or searched.
"""

__all__ = ["endpoint", "hashed", "minilm", "rules"]
