"""Machine code of generated modules: compiled by numba once, kept on disk, loaded by LLVM alone.

A file holds one object file a function (with everything that it calls) behind one line of JSON that says what they are and
what they hash to. A function is called by its address in numba's calling convention: status = f(&result, &error, arguments..),
an array as owner, parent, count, bytes of an item, data, extent, stride. Generated functions never raise and never allocate.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as remembered
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import ricci
from ricci.backends import cache

SUFFIX = ".code"
NEVER_CALLED = "NRT_MemInfo_call_dtor"  # what would free an owner of memory: arrays that we pass have none
ELEMENTARY = re.compile(r"\belementary\.(\w+)")
NO_OWNER = ctypes.c_void_p()
DECLARED = re.compile(r'^declare [^@\n]*@"?([\w.$]+)"?\(', re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """One compiled function: the symbol in its object file, and the symbols of other libraries that it needs."""

    name: str
    symbol: str
    needs: tuple[str, ...]
    code: bytes


@dataclass
class MachineCode:
    """Loaded functions of one module. `fresh`: compiled in this process, not read from disk."""

    name: str
    address: Mapping[str, int]
    fresh: bool
    engine: Any = None  # what owns the memory of the functions

    def bind(self, function: str, *arguments: Any) -> Callable[..., None]:
        """A function with its first arguments in place; the rest comes with each call (numpy arrays, flat and contiguous, and whole numbers).

        Python runs meanwhile. Handing over a hundred words takes ctypes 6 us where they are its own objects, 40 where they are not.
        """
        entry = ctypes.CFUNCTYPE(ctypes.c_int32)(self.address[function])
        first = [word for a in arguments for word in _words(a)]

        def call(*rest: Any, _held: Sequence[Any] = arguments) -> None:
            result, error = ctypes.c_void_p(), ctypes.c_void_p()
            last = [word for a in rest for word in _words(a)]
            status = entry(ctypes.byref(result), ctypes.byref(error), *first, *last)
            if status != 0:
                raise RuntimeError(f"generated function {function} of {self.name} ended with status {status}")

        return call


def _words(argument: Any) -> list[Any]:
    """What numba passes for an argument: a number, or an array's owner (none), size, size of an element, address, shape, strides."""
    if not isinstance(argument, np.ndarray):
        return [ctypes.c_int64(int(argument))]
    size, item = ctypes.c_int64(argument.size), ctypes.c_int64(argument.itemsize)
    return [NO_OWNER, NO_OWNER, size, item, ctypes.c_void_p(argument.ctypes.data), size, item]


def _version(package: str) -> str:
    """The version of an installed package by the folder of its metadata, `NAME-VERSION.dist-info`, without reading these."""
    spec = find_spec(package)
    folder = Path(spec.origin).parent.parent if spec is not None and spec.origin is not None else Path()
    found = sorted(path.name for path in folder.glob(f"{package}-*.dist-info"))
    if len(found) == 1:
        return found[0].removesuffix(".dist-info")
    from importlib.metadata import version  # takes ten milliseconds

    return version(package)


@remembered
def toolchain() -> str:
    """Everything besides its text that decides what a generated module does."""
    import llvmlite.binding as llvm

    here = Path(__file__).parent
    texts: tuple[str | Path, ...] = ("vectors.py", "team.py", "complex_functions.py", *sorted((here / "elementary").glob("*.py")))
    own = [(here / text).read_bytes() for text in texts]
    runtime = hashlib.blake2b(b"".join(own), digest_size=8).hexdigest()
    parts = [platform.python_version(), _version("numba"), _version("llvmlite"), np.__version__, ricci.__version__, runtime]
    return "|".join([*parts, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), os.environ.get("NUMBA_OPT", "")])


_loaded: dict[str, MachineCode] = {}


def forget_all() -> None:
    """Start anew, as another process would. Functions that are in use stay."""
    _loaded.clear()


def machine_code(source: str, toolchain: str, signatures: Mapping[str, str], use_cache: bool = True) -> MachineCode:
    """The functions of a module named in `signatures` (see `argument_types`): from this process, from disk, or compiled."""
    name = module_name(source, toolchain, signatures)
    if name not in _loaded:
        code = loaded(name) if use_cache else None
        if code is None:
            pieces = compile_pieces(name, source, signatures)
            if use_cache:
                cache.write(name, ".py", source.encode())
                cache.write(name, SUFFIX, packed(pieces))
            code = link(name, pieces, fresh=True)
            assert code is not None
        _loaded[name] = code
    return _loaded[name]


def module_name(source: str, toolchain: str, signatures: Mapping[str, str]) -> str:
    """Equal names are equal code."""
    return cache.PREFIX + cache.content_hash(source, f"{toolchain}\0{sorted(signatures.items())}")


def loaded(name: str) -> MachineCode | None:
    """Code from disk; None if there is none, or none that can be used. What is damaged is removed."""
    if name in _loaded:
        return _loaded[name]
    data = cache.read(name, SUFFIX)
    if data is None:
        return None
    pieces = unpacked(data)
    code = None if pieces is None else link(name, pieces, fresh=False)
    if code is None:
        cache.remove(name)
    else:
        _loaded[name] = code
    return code


# compiling


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits: an exception inside of a callback of the compiler would be swallowed, and its function left without code."""
    asked: list[int] = []
    usual = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked:
        raise KeyboardInterrupt


@remembered
def _argument_kinds() -> dict[str, Any]:
    import numba

    real = {"f": numba.float32, "d": numba.float64}
    kinds = {**real, "i": numba.int64, "b": numba.boolean, "c": numba.complex64, "z": numba.complex128}
    return {**kinds, **{k.upper(): t[::1] for k, t in kinds.items()}}


def argument_types(signature: str) -> tuple[Any, ...]:
    """numba's types of a signature, a letter an argument: f d reals of 32 and 64 bits, i ints, b truth values, c z complex; capital: flat arrays.
    Behind a colon: what is returned."""
    return tuple(_argument_kinds()[letter] for letter in signature.partition(":")[0])


def functions_of(name: str, source: str, signatures: Mapping[str, str]) -> dict[str, Any]:
    """numba's dispatchers of a module's functions, each compiled for its signature."""
    from ricci.backends.elementary import compiled

    for called in set(ELEMENTARY.findall(source)):
        getattr(compiled, called)  # numba looks for new intrinsics before it begins to compile
    space: dict[str, Any] = {"__name__": name}
    exec(compile(source, f"<{name}>", "exec"), space)
    for function, signature in signatures.items():
        with uninterrupted():
            space[function].compile(argument_types(signature))
        _returns_as_called(space[function], signature)
    return {function: space[function] for function in signatures}


def _returns_as_called(dispatcher: Any, signature: str) -> None:
    """A function is called by its address: results of another type than the caller expects would be read as garbage."""
    import numba

    expected = signature.partition(":")[2]
    given = dispatcher.overloads[argument_types(signature)].signature.return_type
    wanted = numba.types.none if not expected else numba.types.Tuple([_argument_kinds()[letter] for letter in expected])
    if given != wanted:
        raise TypeError(f"`{dispatcher.py_func.__name__}` returns {given}, its caller takes {wanted}")


def compile_pieces(name: str, source: str, signatures: Mapping[str, str]) -> list[Piece]:
    """Compile the functions of a module."""
    pieces = []
    for function, dispatcher in functions_of(name, source, signatures).items():
        compiled = dispatcher.overloads[argument_types(signatures[function])]
        library = compiled.library
        needs = tuple(sorted({s for s in DECLARED.findall(library.get_llvm_str()) if not s.startswith("llvm.")}))
        with uninterrupted():
            code = library._get_compiled_object()
        pieces.append(Piece(function, compiled.fndesc.llvm_func_name, needs, code))
    return pieces


# files


def packed(pieces: Sequence[Piece]) -> bytes:
    """One line of JSON, then the object files one after another."""
    payload = b"".join(p.code for p in pieces)
    listed = [{"name": p.name, "symbol": p.symbol, "needs": list(p.needs), "bytes": len(p.code)} for p in pieces]
    head = json.dumps({"functions": listed})
    digest = hashlib.blake2b(head.encode() + payload, digest_size=16).hexdigest()
    return f"{digest} {head}\n".encode() + payload


def unpacked(data: bytes) -> list[Piece] | None:
    """The pieces of a file; None if a byte of it is not as it was written."""
    line, _, payload = data.partition(b"\n")
    digest, _, head = line.partition(b" ")
    if hashlib.blake2b(head + payload, digest_size=16).hexdigest().encode() != digest:
        return None
    pieces, at = [], 0
    for entry in json.loads(head)["functions"]:
        pieces.append(Piece(entry["name"], entry["symbol"], tuple(entry["needs"]), payload[at : at + entry["bytes"]]))
        at += entry["bytes"]
    return pieces


# loading


@remembered
def _target() -> Any:
    """This machine, to LLVM."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def _found(symbol: str) -> bool:
    """Whether LLVM knows a symbol or can be told: LLVM would end the process for one that is nowhere."""
    import llvmlite.binding as llvm

    if llvm.address_of_symbol(symbol) is not None:
        return True
    function = getattr(ctypes.CDLL(None), "abort" if symbol == NEVER_CALLED else symbol, None)
    if function is not None:
        llvm.add_symbol(symbol, ctypes.cast(function, ctypes.c_void_p).value)
    return function is not None


def link(name: str, pieces: Sequence[Piece], fresh: bool) -> MachineCode | None:
    """Load object files; None if a symbol that they need is nowhere in this process."""
    import llvmlite.binding as llvm

    own = {p.symbol for p in pieces}
    lacking = [s for p in pieces for s in p.needs if s not in own and not _found(s)]
    if lacking and fresh:
        raise RuntimeError(f"{name} needs symbols that are nowhere: {', '.join(lacking)}")
    if lacking:
        return None
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target().create_target_machine(jit=True))
    for piece in pieces:
        engine.add_object_file(llvm.ObjectFileRef.from_data(piece.code))
    engine.finalize_object()
    return MachineCode(name, {p.name: engine.get_function_address(p.symbol) for p in pieces}, fresh, engine)
