"""Identifiers: checked, mangled, derived, and free."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, count

from fngen.errors import OptionError
from fngen.functions.reductions import SPELLED
from fngen.ir import CONDITIONS, Over, Value, fold
from fngen.printing.infix import ATOM, POWER, PRODUCT, SUM

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HEAD = (
    *("Any", "Tensor", "ctx", "forward_ad", "handle_torch_function", "has_torch_function", "inputs", "math"),
    *("nn", "output", "self", "sum", "torch"),
)
_BUILTINS = (
    *(
        "all",
        "any",
        "float",
        "int",
        "isinstance",
        "map",
        "min",
        "range",
        "set",
        "staticmethod",
        "str",
        "super",
        "tuple",
        "type",
    ),
    "TypeError",
)
_ENTRY = ("RuntimeError", "arg", "args", "given", "graph", "plain", "transformed")
_LOCALS = ("dtype", "dtypes", "kept", "leaves", "narrow", "primals", "saved", "shape", "typed", "wanted")
_RESERVED = frozenset([*_HEAD, *_BUILTINS, *_ENTRY])
"""What the name of a layer must not hide."""
RESERVED = _RESERVED | frozenset(_LOCALS)
"""Names that the code of an emitted file uses itself."""
OF_MODULE = frozenset(
    [
        "T_destination",
        "_apply",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_buffers",
        "_call_impl",
        "_compiled_call_impl",
        "_forward_hooks",
        "_forward_hooks_always_called",
        "_forward_hooks_with_kwargs",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
        "_get_backward_hooks",
        "_get_backward_pre_hooks",
        "_get_name",
        "_is_full_backward_hook",
        "_load_from_state_dict",
        "_load_state_dict_post_hooks",
        "_load_state_dict_pre_hooks",
        "_maybe_warn_non_full_backward_hook",
        "_modules",
        "_named_members",
        "_non_persistent_buffers_set",
        "_parameters",
        "_register_load_state_dict_pre_hook",
        "_register_state_dict_hook",
        "_replicate_for_data_parallel",
        "_save_to_state_dict",
        "_slow_forward",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_version",
        "_wrapped_call_impl",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "device",
        "double",
        "dtype",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "formula",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "num_channels",
        "num_features",
        "parameters",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "reset_parameters",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "xpu",
        "zero_grad",
    ]
)
"""Attributes of a module and arguments of its constructor that no parameter or constant may hide."""
OF_TUPLE = frozenset({"count", "index"})
"""Methods of a tuple that no output may hide."""
LONGEST = 40
_SUFFIXES = {2: "squared", 3: "cubed"}
_WORDS = {
    "add": ("plus", SUM),
    "sub": ("minus", SUM),
    "mul": ("times", PRODUCT),
    "div": ("over", PRODUCT),
    "pow": ("to_the", POWER),
}


def free_name(stem: str, taken: Container[str]) -> str:
    """Return ``stem``, or the first of ``stem_1``, ``stem_2``, ... that is not taken."""
    candidates = chain([stem], (f"{stem}_{i}" for i in count(1)))
    return next(name for name in candidates if name not in taken)


def python_name(name: str, taken: Container[str]) -> str:
    """Return the identifier of a variable in Python: ``lambda`` is ``lambda_``."""
    while keyword.iskeyword(name) or name in RESERVED or name in taken:
        name += "_"
    return name


def snake_case(name: str) -> str:
    """Return ``square`` for ``Square``, ``my_gate`` for ``MyGate``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return spaced.lower()


def class_name(name: str) -> str:
    """Return ``MyGate`` for ``my_gate``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def check_layer_name(name: str) -> str:
    """Return the name of file and function for a layer.

    Raises:
        OptionError: If it is no identifier, or one that the file needs for itself.
    """
    if not IDENTIFIER.fullmatch(name) or name.startswith("_") or len(name) > 100:
        hint = "Use letters, digits and '_', a letter first, for example my_gate."
        raise OptionError(f"the name {name[:100]!r} is not an identifier", hint, option="name")
    snake = snake_case(name)
    parts = {snake, class_name(snake), class_name(snake) + "Function"}
    if keyword.iskeyword(snake) or parts & _RESERVED or keyword.iskeyword(class_name(snake)):
        hint = f"Use for example {snake}_layer."
        raise OptionError(f"the name {name!r} means something else in the emitted file", hint, option="name")
    return snake


@dataclass(frozen=True, slots=True)
class _Words:
    """Words for a subexpression, and whether they can be read in one way only."""

    slug: str
    binding: int = ATOM
    closed: bool = True
    """Whether more words may follow; those after ``of`` run on to the end."""
    faithful: bool = True


def derived_name(root: Value, reduction: str | None, text: str) -> str:
    """Return a readable name for a formula without one, the same on every machine.

    Two formulas never share a name: where the words leave open how the formula groups, or
    are too many, a few digits of the hash of its text follow.
    """
    words = fold([root], _words)[root]
    slug = f"{reduction}_of_{words.slug}" if reduction else words.slug
    slug = slug if slug[:1].isalpha() else f"f_{slug}"
    if not words.faithful or len(slug) > LONGEST:
        slug = f"{slug[: LONGEST - 7].rsplit('_', 1)[0].strip('_')}_{sha256(text.encode()).hexdigest()[:6]}"
    taken = {class_name(slug), class_name(slug) + "Function", slug} & _RESERVED
    return f"{slug}_layer" if taken or keyword.iskeyword(slug) else slug


def _words(node: Value, args: list[_Words]) -> _Words:
    """Return the words for a node from those for its arguments."""
    if node.op == "number":
        digits = str(node.datum).lower().replace(".", "p").replace("+", "")
        return _Words(digits.replace("/", "_over_").replace("-", "minus_"), faithful="-" not in digits)
    if not args:
        text = str(node.datum or node.op)
        plain = text.islower() and "_" not in text and text.isalnum()
        return _Words(snake_case(text).strip("_"), faithful=plain)
    faithful = all(a.faithful for a in args)
    if node.op == "pow" and node.args[1].op == "number" and node.args[1].datum in _SUFFIXES:
        base, suffix = args[0], _SUFFIXES[int(node.args[1].datum)]
        return _Words(
            _clipped(f"{base.slug}_{suffix}"),
            POWER,
            True,
            faithful and base.binding == ATOM and base.closed,
        )
    if node.op in _WORDS and len(args) == 2:
        word, binding = _WORDS[node.op]
        left, right = args
        clear = left.closed and left.binding >= binding and right.binding > binding
        return _Words(_clipped(f"{left.slug}_{word}_{right.slug}"), binding, right.closed, faithful and clear)
    if node.op == "neg":
        return _Words(
            _clipped(f"minus_{args[0].slug}"),
            SUM,
            args[0].closed,
            faithful and args[0].binding > SUM,
        )
    name = node.op.replace("maximum", "max").replace("minimum", "min")
    if isinstance(node.datum, Over):
        name, faithful = SPELLED.get(node.op, node.op), False  # Over which dimensions, the words do not say.
    atoms = all(a.binding == ATOM and a.closed for a in args)
    if len(args) == 1 and not atoms:
        return _Words(_clipped(f"{name}_of_{args[0].slug}"), ATOM, False, faithful)
    clear = atoms and node.op not in CONDITIONS and node.op != "where"
    return _Words(_clipped("_".join([name, *(a.slug for a in args)])), ATOM, True, faithful and clear)


def _clipped(text: str) -> str:
    """Bound a slug, so that a deep formula costs no more than its size."""
    return text[: 4 * LONGEST]
