"""A network cut in two at a submodule's output: what comes before it, and what comes behind."""

from __future__ import annotations

from torch import fx, nn

from limbeck.errors import LimbeckError
from limbeck.models.folding import NormedConv


class _Whole(fx.Tracer):
    """Looks into submodules that have submodules, but for one, which is taken whole."""

    def __init__(self, whole: str) -> None:
        super().__init__()
        self._whole = whole

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        return path == self._whole or isinstance(module, NormedConv) or next(module.children(), None) is None


def before(network: nn.Module, path: str) -> nn.Module:
    """From pictures to the output of the submodule at ``path``, with the network's own parameters.

    Raises:
        LimbeckError: the network cannot be cut there.
    """
    graph, place = _traced(network, path)
    graph.output_node().args = (place,)
    return _cut(network, graph)


def behind(network: nn.Module, path: str) -> nn.Module:
    """From the output of the submodule at ``path`` to logits, with the network's own parameters.

    Raises:
        LimbeckError: the network cannot be cut there.
    """
    graph, place = _traced(network, path)
    pictures = [node for node in graph.nodes if node.op == "placeholder"]
    with graph.inserting_before(place):
        place.replace_all_uses_with(graph.placeholder("what_was_tapped"))
    _tidy(graph)
    for unused in pictures:
        if unused.users:
            passed = ", ".join(user.name for user in unused.users)
            raise LimbeckError(
                f"{type(network).__name__} cannot be cut behind {path!r}: what follows needs more than its output "
                f"(the picture goes into {passed}, too). Name a submodule that everything goes through."
            )
        graph.erase_node(unused)
    return _cut(network, graph)


def _traced(network: nn.Module, path: str) -> tuple[fx.Graph, fx.Node]:
    """What the network does, in train and in eval mode alike, and where the submodule's output comes about."""
    name, modes = type(network).__name__, {module: module.training for module in network.modules()}
    try:
        graphs = [_Whole(path).trace(network.train(mode)) for mode in (True, False)]
    except Exception as error:
        raise LimbeckError(
            f"{name} cannot be cut at {path!r}: its forward cannot be followed symbolically ({error}). Use a network "
            "without decisions on its tensors, or another objective."
        ) from error
    finally:
        for module, mode in modes.items():
            module.training = mode
    graph = graphs[0]
    if str(graph) != str(graphs[1]):
        raise LimbeckError(
            f"{name} cannot be cut at {path!r}: its forward does other things in train mode than in eval mode, and a "
            "part of it would do either for good. Give it submodules (nn.Dropout) for that, or use another objective."
        )
    changing = [node.name for node in graph.nodes if _in_place(node) and not node.users]
    if changing:
        raise LimbeckError(
            f"{name} cannot be cut at {path!r}: its forward changes a tensor in place and does not use what comes back "
            f"({', '.join(changing)}). Write x = relu(x) in place of relu(x, inplace=True), or use another objective."
        )
    places = [node for node in graph.nodes if node.op == "call_module" and node.target == path]
    if len(places) != 1:
        raise LimbeckError(
            f"{name} cannot be cut at {path!r}: that submodule is called {len(places)} times. Name one that is called "
            "once."
        )
    return graph, places[0]


def _in_place(node: fx.Node) -> bool:
    """Whether a step is of those that change what they are given."""
    if node.op == "call_module":
        return True  # a rectifier may, and nobody calls a submodule for nothing
    named = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "")
    written = named.endswith("_") and not named.endswith("__")
    return node.op.startswith("call_") and (written or bool(node.kwargs.get("inplace")) or named == "setitem")


def _cut(network: nn.Module, graph: fx.Graph) -> nn.Module:
    _tidy(graph)
    graph.lint()
    part = fx.GraphModule(network, graph, type(network).__name__)
    part.delete_all_unused_submodules()
    return part


def _tidy(graph: fx.Graph) -> None:
    """Removes what nothing depends on."""
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
