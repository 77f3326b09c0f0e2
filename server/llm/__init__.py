"""The language model: its port, its adapters, and what protects the server from them.

The only package that imports `openai`. `port` is what a run asks of a model; `choice` picks the
adapter; `breaker` stands in front of each model, `selection` in front of several. Nothing here waits
and tries again: retries belong to the chorus chart.
"""

__all__ = [
    "breaker",
    "capabilities",
    "choice",
    "context_length",
    "dialects",
    "embeddings",
    "errors",
    "extractive",
    "offline",
    "openai",
    "policy",
    "port",
    "reading",
    "repetition",
    "reply",
    "selection",
    "sse",
    "text",
    "thoughts",
]
