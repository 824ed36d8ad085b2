"""A request -> the jobs it means, checked before anything is loaded. Imports no torch.

A plan that would lose a file is refused: two inputs with one output, or an output that is an input.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from dacse_cli.errors import NoInputError, UsageError
from dacse_cli.files.places import cache_folder
from dacse_cli.pipeline.request.collisions import Collisions, Pair, refuse_inputs_as_outputs
from dacse_cli.pipeline.request.inputs import find_inputs, matches_any
from dacse_cli.pipeline.request.jobs import Found, Job, make_job
from dacse_cli.pipeline.request.listing import JobFile, find_objects
from dacse_cli.pipeline.request.naming import (
    accepts,
    check_single,
    names_file,
    output_name,
    refuse_file_name,
    refuse_unknown_format,
)
from dacse_cli.pipeline.request.request import Request
from dacse_cli.store.store import Store
from dacse_cli.store.urls import as_local, is_url

WAVE = 10_000
"""Jobs in memory at once where inputs or outputs are in a store. Each wave loads the models again."""


@dataclass
class Plan:
    """Jobs in waves, and where their outputs lie."""

    request: Request
    count: int
    """Jobs in all waves."""
    ignored: int
    """Files left out because of their names."""
    waves: Iterable[list[Job]]
    folder: Path | None
    """The folder on this disk with the journal; None for single files beside their inputs."""
    store: str | None = None
    """URL of the output, for which `folder` stands."""
    own: Path | None = None
    """A folder on this disk for this run, where inputs or outputs are in a store."""
    collided: list[Job] = field(default_factory=list)
    """Inputs whose output is also another input's, where only these fail."""


@dataclass
class _Search:
    """The inputs of a request, found while iterating; can be iterated again."""

    request: Request
    output: Path | None
    """On this disk."""
    stores: list[Store] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    """The inputs on this disk, all of them as soon as the first input is found."""
    ignored: int = 0

    def found(self) -> Iterator[Found]:
        """Every input, in order. Raises `UsageError`, `NoInputError`."""
        request, self.ignored = self.request, 0
        remote = self._remote()
        local = self._local()
        self.files = [found.source for found in local if self._is_chosen(found)]
        before = chosen = 0
        for found in itertools.chain(local, remote):
            before += 1
            if self._is_chosen(found):
                chosen += 1
                yield found
            else:
                self.ignored += 1
        if not before:
            raise NoInputError(f"no audio files in {', '.join(request.inputs)}")
        if not chosen:
            by_filter = f" by `filters` {' '.join(request.filters)}" if request.filters else ""
            hint = "A pattern is compared with the path below the input folder and with the name."
            raise NoInputError(f"of {before} files none is left{by_filter}", hint=hint)

    def _is_chosen(self, found: Found) -> bool:
        request = self.request
        by_name = not request.filters or matches_any(found, request.filters)
        return by_name and (request.only is None or str(found.source) in request.only)

    def _local(self) -> list[Found]:
        names = [name for name in self.request.inputs if not is_url(name)]
        if not names:
            return []
        inputs = find_inputs(names, accepts(self.request.form), self.output)
        self.ignored += inputs.ignored
        return inputs.files

    def _remote(self) -> Iterator[Found]:
        """The objects. All URLs are compared with the output at once: a limit may end the iteration early."""
        urls, output = [*filter(is_url, self.request.inputs)], self.request.output
        place = Store(output) if urls and output and is_url(output) else None
        places = [find_objects(url, accepts(self.request.form), place) for url in urls]
        self.stores[:] = [store for store, _ in places]
        return self._objects([objects for _, objects in places])

    def _objects(self, places: list[Iterator[Found | None]]) -> Iterator[Found]:
        for index, objects in enumerate(places):
            for found in objects:
                if found is None:
                    self.ignored += 1
                else:
                    yield replace(found, store=index)


def plan(request: Request, wave: int = WAVE) -> Plan:
    """Raises `UsageError`, `NoInputError`."""
    request = _named(_on_this_disk(request.check()))
    given = request.output
    url = given if given and is_url(given) else None
    remote = url is not None or any(map(is_url, request.inputs))
    if remote and given is None:
        raise UsageError("inputs in an object store need an output folder or URL")
    if url and request.keep_mtime:
        raise UsageError("`keep_mtime` needs an output on this disk: objects have no such time")
    own = _own_folder(request) if remote else None
    output = own / "out" if own and url else Path(given) if given else None
    search = _Search(request, None if url else output)
    if given is not None and (url or not Path(given).is_dir()):
        if names_file(PurePosixPath(given), request.form):
            if request.shard is not None:
                raise UsageError(f"`shard` needs an output folder, but {given} names one file")
            return _single(search, given, url, own)
        refuse_file_name(PurePosixPath(given), request.form)
        if not url and len(request.inputs) == 1 and os.path.isfile(request.inputs[0]):  # noqa: PTH113
            refuse_unknown_format(given, request.form)
    if request.shard is not None and output is None:
        raise UsageError("`shard` needs an output folder, which holds the journals of all parts")
    return _many(search, output, url, own, wave)


def _on_this_disk(request: Request) -> Request:
    """A request in which URLs of files on this disk are paths, which inputs and outputs are compared by."""
    output = as_local(request.output) if request.output else request.output
    return replace(request, inputs=tuple(map(as_local, request.inputs)), output=output)


def _named(request: Request) -> Request:
    """A request in which the output of a single file is a name instead of a pattern."""
    if request.pattern is None or len(request.inputs) != 1 or not Path(request.inputs[0]).is_file():
        return request
    source = Path(request.inputs[0])
    name = output_name(request, Found(source, source.name))
    folder = request.output if request.output and is_url(request.output) else str(Path(request.output or "."))
    return replace(request, output=name if folder == "." else f"{folder}/{name}", pattern=None)


def _own_folder(request: Request) -> Path:
    """A folder on this disk for these inputs, this output and this part; a rerun uses the same one."""
    named = (request.pattern,) if request.pattern else ()
    output = request.output or ""
    place = output if is_url(output) else os.path.abspath(output)  # noqa: PTH100 - as all other paths here
    what = repr((request.form.value, request.inputs, place, request.shard, *named))
    digest = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    cache = cache_folder()
    if cache is None:
        raise UsageError(
            "a run on an object store needs a folder on this disk", hint="Set DACSE_CACHE to one."
        )
    folder = cache / "cloud" / digest
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _single(search: _Search, output: str, url: str | None, own: Path | None) -> Plan:
    """One input, one output file; the output's suffix decides the format."""
    files = list(search.found())
    if len(files) != 1:
        raise UsageError(
            f"{output} names one file, but there are {len(files)} inputs", hint="Give a folder as output."
        )
    check_single(search.request, PurePosixPath(output), files[0].source)
    request = replace(search.request, sound=replace(search.request.sound, format="keep"))
    store, _, name = url.rpartition("/") if url else ("", "", "")
    target = own / "out" / name if own and url else Path(output)
    refuse_inputs_as_outputs(search.files, [target])
    jobs = [make_job(0, files[0], target, search.stores, (own or target) / "in")]
    folder = target.parent if url else None
    return Plan(request, 1, search.ignored, [jobs], folder, store or None, own)


def _many(search: _Search, output: Path | None, url: str | None, own: Path | None, wave: int) -> Plan:
    """Any number of inputs into a folder, a store, or beside themselves."""
    request = search.request

    def pairs() -> Iterator[Pair]:
        for found in search.found():
            folder = found.source.parent if output is None else output / Path(found.relative).parent
            yield found, folder / output_name(request, found)

    def mine(pair: Pair) -> bool:
        return request.shard is None or request.shard.holds(pair[0].relative)

    collisions = Collisions(fold_case=url is None)
    if own is not None:
        file = JobFile(own, own / "in", search.stores)
        count = file.write(itertools.islice(filter(mine, collisions.watch(pairs())), request.limit))
        below = own / "out"
        collisions.refuse(pairs, lambda target: target.relative_to(below).as_posix() if url else str(target))
        if not url:
            refuse_inputs_as_outputs(search.files, (job.target for jobs in file.waves(wave) for job in jobs))
        return Plan(request, count, search.ignored, file.waves(wave), output, url, own)
    todo = list(collisions.watch(_without_outputs(search, pairs())))
    collided: dict[Found, Path] = {}
    if request.collisions_fail:
        collided = dict(pair for _, pair in collisions.find(lambda: todo))
    else:
        collisions.refuse(lambda: todo)
    todo = [pair for pair in todo if pair[0] not in collided]
    refuse_inputs_as_outputs((found.source for found, _ in todo), (target for _, target in todo))
    todo = list(filter(mine, todo))[: request.limit]  # after all inputs were checked for collisions
    jobs = [make_job(index, *pair, (), Path()) for index, pair in enumerate(todo)]
    lost = [make_job(len(jobs) + i, *pair, (), Path()) for i, pair in enumerate(collided.items())]
    return Plan(request, len(jobs), search.ignored, [jobs], output, collided=lost)


def _without_outputs(search: _Search, pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The pairs without inputs that an earlier run has written, which can happen with a pattern.

    With `overwrite` all are kept, and an output that is an input is refused.
    """
    paths = [(pair, os.path.abspath(pair[0].source), os.path.abspath(pair[1])) for pair in pairs]  # noqa: PTH100
    request = search.request
    by_pattern = request.pattern is not None and not request.overwrite
    written = {target for _, source, target in paths if by_pattern and target != source}
    for pair, source, _ in paths:
        if source in written:
            search.ignored += 1
        else:
            yield pair
