"""A network as ONNX, and an ONNX file as a network."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from limbeck import files
from limbeck.data.pictures.decoding import Fit
from limbeck.errors import LimbeckError

_LABELS, _FIT = "labels", "fit"


def needs_onnx() -> None:
    """Refuses to begin where the packages are missing.

    Raises:
        LimbeckError: one of them is.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise LimbeckError(
            f"ONNX needs {error.name}, which is missing. Type `pip install onnx onnxruntime onnxscript`."
        ) from error


def can_run_onnx() -> bool:
    """Whether there is what it takes to run an ONNX file; to write one takes more."""
    return all(find_spec(name) for name in ("onnx", "onnxruntime"))


def write_onnx(path: Path, network: nn.Module, pictures: Tensor, classes: tuple[str, ...], fit: Fit = "crop") -> None:
    """Writes ``network`` with its normalisation inside, for any number of pictures at once.

    The input is called ``images``: float32 (B, C, H, W) in [0, 1], RGB; the output ``logits``. The metadata has
    ``labels``, a JSON list in the order of the logits, and ``fit``.

    Args:
        path: a .onnx file.
        network: in eval mode, on the CPU.
        pictures: float (B, C, H, W) in [0, 1], two or more, of the size that it will be given.
        classes: the names of the classes.
        fit: how pictures of other sizes are brought to that one, as `limbeck.data.Reading` has it.

    Raises:
        LimbeckError: the network does what ONNX has no operator for.
    """
    import onnx

    try:
        with quietly():
            program = torch.onnx.export(
                network,
                (pictures,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["images"],
                output_names=["logits"],
                verbose=False,
            )
        assert program is not None
        model = program.model_proto
    except Exception as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise LimbeckError(f"the network cannot be written as ONNX: {said}") from error
    del model.graph.value_info[:]  # anyone can infer it; kept, it contradicts weights that onnxruntime transposes
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]  # the exporter notes whole stack traces there, with the paths of this machine
        part.doc_string = ""
    height, width = pictures.shape[2:]
    taken = f"float32 RGB (B, 3, {height}, {width}) in [0, 1]"
    onnx.helper.set_model_props(model, {_LABELS: json.dumps(classes), _FIT: fit, "input": taken})
    onnx.checker.check_model(model)
    files.write_bytes(path, model.SerializeToString())


def read_labels(path: Path) -> tuple[tuple[str, ...], Fit]:
    """The classes that a file written here speaks of, in the order of its logits; and how pictures are fitted for it.

    Raises:
        LimbeckError: it cannot be read, or names none.
    """
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
        if not model.graph.node:
            raise ValueError("it is empty")
    except Exception as error:  # protobuf's errors are onnx's own affair
        why = error.strerror if isinstance(error, OSError) else "it is damaged, or no ONNX file"
        raise LimbeckError(f"cannot read {path}: {why}. Give another file, or make it anew: limbeck export") from error
    said = {entry.key: entry.value for entry in model.metadata_props}
    if _LABELS not in said:
        raise LimbeckError(f"{path} does not name its classes: it was not written by limbeck. Give a file that was.")
    try:
        classes = tuple(str(each) for each in json.loads(said[_LABELS]))
    except (ValueError, TypeError) as error:
        raise LimbeckError(
            f"cannot read {path}: its labels are no list of names. Give another file, or make it anew: limbeck export"
        ) from error
    fit: Fit = next((each for each in get_args(Fit) if each == said.get(_FIT)), "crop")
    return classes, fit


class Session(nn.Module):
    """An ONNX file in onnxruntime on the CPU, as a module: float (B, C, H, W) pictures in [0, 1] to logits (B, K).

    Args:
        path: the file.
        threads: of one answer; none leaves onnxruntime's choice.

    Raises:
        LimbeckError: onnxruntime cannot read or run it.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common class
            raise LimbeckError(f"{path} cannot be run by onnxruntime: {str(error).splitlines()[0]}") from error
        self._name = self._session.get_inputs()[0].name
        self.training = False

    @property
    def side(self) -> int:
        """Pixels, of the pictures that it takes."""
        return int(self._session.get_inputs()[0].shape[2])

    def forward(self, images: Tensor) -> Tensor:
        (logits,) = self._session.run(None, {self._name: images.float().contiguous().cpu().numpy()})
        return torch.from_numpy(logits)

    def train(self, mode: bool = True) -> Session:
        """A session has no modes."""
        return self


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keeps what the exporter says of its own parts to itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def rewritten(path: Path, make: Callable[[Path], None]) -> None:
    """Lets ``make(target)`` write a file in a folder of its own, and puts it here.

    onnxruntime's tools write where they like, and not at once.
    """
    with tempfile.TemporaryDirectory(prefix="limbeck-") as folder:
        target = Path(folder) / path.name
        with quietly():
            make(target)
        files.write_bytes(path, target.read_bytes())
