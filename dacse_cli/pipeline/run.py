"""One command from request to summary: resolve, plan, look, work. The library call under the command line."""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dacse_cli.audio.atomic import discard_part, sweep
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media import kinds
from dacse_cli.codec.shape import read_shape
from dacse_cli.config import ChunkOptions, ModelOptions
from dacse_cli.errors import CodecError, DacseError, ModelError, OutputError, UsageError
from dacse_cli.hub import ModelCard, Resolved, read_card, resolve, resolve_codec
from dacse_cli.pipeline.chunks import ChunkGrid
from dacse_cli.pipeline.crew import Crew, MakeCrew
from dacse_cli.pipeline.events import Event, Stage
from dacse_cli.pipeline.jobs import Job
from dacse_cli.pipeline.journal import Journal, holders, settings_hash
from dacse_cli.pipeline.ledger import Ledger
from dacse_cli.pipeline.looking import Intake, MakeLooker
from dacse_cli.pipeline.outcome import Summary
from dacse_cli.pipeline.plan import ChainFiles, Plan, Request, is_descript_weights, plan
from dacse_cli.pipeline.speed import recalled, remember
from dacse_cli.pipeline.supervisor import Supervisor
from dacse_cli.speech import recogniser

Tell = Callable[[Event], None]
Download = Callable[[str, int, int], None]
"""Progress of a download: file, bytes done, bytes in all."""


@dataclass(frozen=True)
class Networks:
    """The models of a run, found on this disk. `model` is None where only the codec is needed."""

    model: Resolved | None
    codec: Resolved

    @property
    def codec_name(self) -> str:
        """What token files call this codec: a name others can resolve, else a hash."""
        if self.codec.built_in:
            return self.codec.name.split("/")[0]
        if self.codec.revision is not None:
            return self.codec.name
        return f"sha256:{self.codec.sha256[:16]}"


def find_networks(options: ModelOptions, *, with_model: bool, progress: Download | None = None) -> Networks:
    """Resolve names to folders, downloading what is missing. Raises `ModelError`s."""
    if options.second_opinion and (missing := recogniser.lacks(options.second_opinion)):
        raise ModelError(f"--second-opinion {options.second_opinion}: {missing}")
    model = None
    if with_model or options.codec is None:
        model = resolve(options.model, kind="model", offline=options.offline, progress=progress)
    if options.codec is not None and is_descript_weights(options.codec):
        codec = _weights_file(Path(options.codec))
    elif options.codec is not None:
        codec = resolve(options.codec, kind="codec", offline=options.offline, progress=progress)
    else:
        assert model is not None
        codec = resolve_codec(model, offline=options.offline, progress=progress)
    return Networks(model if with_model else None, codec)


def _weights_file(path: Path) -> Resolved:
    """A file of Descript's own weights, for its own package."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise CodecError(f"{path} cannot be read: {error.strerror}") from None
    return Resolved(path, path.name, None, digest.hexdigest(), kind="codec")


def chain_files(request: Request, networks: Networks) -> ChainFiles:
    """What a worker must know to load `networks` for `request`."""
    model = networks.model
    card = read_card(model.folder) if model else ModelCard()
    chunk = request.chunk.resolved(card.chunk_seconds, bool(card.fixed_chunk))
    return ChainFiles(
        codec_folder=str(networks.codec.folder),
        codec_name=networks.codec_name,
        model_folder=str(model.folder) if model else None,
        device=request.models.device,
        dtype=request.models.dtype,
        batch_size=request.models.batch_size,
        chunk=chunk.to_json(),
        deterministic=request.models.deterministic,
        kv=request.models.kv,
        method=card.method or "generate",
        second_opinion=request.models.second_opinion,
    )


def settings_of(request: Request, networks: Networks, files: ChainFiles) -> str:
    """Hash over all that changes the sound of an output; devices and batch sizes do not."""
    model = networks.model.sha256 if networks.model else None
    parts = (
        request.form,
        model,
        networks.codec.sha256,
        files.chunk,
        request.sound.to_json(),
        request.codes_format,
    )
    # named only where given, so that files enhanced before these options existed are still known
    special: dict[str, object] = {"deterministic": files.deterministic, "kv": files.kv != "auto" and files.kv}
    special["second_opinion"] = files.second_opinion
    special["method"] = request.sound.method == "auto" and files.method != "generate" and files.method
    return settings_hash(*parts, *({name: value} for name, value in special.items() if value))


def shown_settings(request: Request, networks: Networks, files: ChainFiles) -> dict[str, object]:
    """What made the outputs, in the words of the command line; devices and batch sizes as asked for."""
    model, codec = networks.model, networks.codec
    return {
        "model": model and model.name,
        "model_revision": model and model.revision,
        "model_sha256": model and model.sha256,
        "codec": codec.name,
        "codec_revision": codec.revision,
        "codec_sha256": codec.sha256,
        **{name: getattr(files, name) for name in ("device", "dtype", "batch_size")},
        **{f"chunk_{name}" if name == "seconds" else name: value for name, value in files.chunk.items()},
        **request.sound.to_json(),
        "second_opinion": files.second_opinion,
        "method": files.method if request.sound.method == "auto" else request.sound.method,
    }


def run(
    request: Request,
    tell: Tell,
    progress: Download | None = None,
    crew: MakeCrew = Crew,
    intake: MakeLooker = Intake,
) -> Summary:
    """Do what `request` says; every input ends in exactly one outcome of the summary.

    Raises `DacseError` where nothing could be begun; what stops a run under way is `Summary.fatal`.
    """
    started = time.monotonic()
    todo = plan(request)
    tell(Stage("finding the models"))
    networks = find_networks(request.models, with_model=request.form == "enhance", progress=progress)
    files = chain_files(request, networks)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(todo.journal, request.shard)) if todo.journal else None
        if todo.journal:
            _sweep(todo, todo.journal)
        ledger = Ledger(
            todo.jobs,
            journal,
            settings_of(request, networks, files),
            request.overwrite,
            tell,
            keep_mtime=request.keep_mtime,
        )
        ledger.summary.ignored = todo.ignored
        ledger.summary.settings = shown_settings(request, networks, files)
        supervisor = Supervisor(todo, files, ledger, tell, crew, intake)
        try:
            with supervisor.watching_signals():
                jobs = [job for job in todo.jobs if ledger.admit(job)]
                ledger.sweep_kept()
                infos = supervisor.probe(jobs)
                check_space(todo, infos)
                supervisor.run(jobs)
                remember(pace_key(request, files), *supervisor.pace)
        except DacseError as error:
            ledger.summary.fatal = error
        summary = ledger.close()
    summary.elapsed = time.monotonic() - started
    return summary


def _sweep(todo: Plan, folder: Path) -> None:
    """Remove what killed runs have left; where others are at work only what can be of no other.

    A part file that waits for its final name is held by nobody, so locks on files do not tell.
    """
    inside_another = any(holders(outer) for outer in folder.absolute().parents)
    if todo.request.shard is None and not inside_another:
        sweep(folder, spare=lambda inner: bool(holders(inner)))
    else:
        for job in todo.jobs:
            discard_part(job.target)


@dataclass(frozen=True)
class Forecast:
    """One line of a dry run. `seconds` and `output_bytes` are 0 for token files."""

    source: str
    target: str
    seconds: float
    chunks: int
    output_bytes: int
    expected_seconds: float | None
    """How long it will take, by the last run's speed; None before there was one."""
    skipped: str = ""
    """Why the file would not be done, empty where it would."""


def forecast(request: Request, tell: Tell, progress: Download | None = None) -> list[Forecast]:
    """What `run` would do, writing nothing, fetching nothing and loading no model."""
    todo = plan(request)
    networks = find_networks(
        replace(request.models, offline=True), with_model=request.form == "enhance", progress=progress
    )
    files = chain_files(request, networks)
    journal = Journal.peek(todo.journal) if todo.journal else None
    ledger = Ledger(
        todo.jobs, journal, settings_of(request, networks, files), request.overwrite, lambda event: None
    )
    supervisor = Supervisor(todo, files, ledger, tell)
    with closing(supervisor):  # nothing is under way that a signal would have to wait for
        infos = supervisor.probe([job for job in todo.jobs if ledger.admit(job)])
    ended = {result.source: result.message for result in ledger.summary.results}
    if not networks.codec.folder.is_dir():
        raise UsageError(
            "--dry-run cannot look into a weights file of Descript's", hint="Name a codec folder."
        )
    frame_rate = read_shape(networks.codec.folder).spec(networks.codec.name).frame_rate
    grid = ChunkGrid.from_options(ChunkOptions.from_json(files.chunk), frame_rate)
    pace = recalled(pace_key(request, files))

    def row(job: Job) -> Forecast:
        info = infos.get(job.index)
        skipped = ended.get(job.name, "")
        if info is None:
            return Forecast(job.name, job.writes, 0.0, 0, 0, None, skipped)
        chunks = len(grid.plan(math.ceil(info.seconds * frame_rate)))
        expected = info.seconds / pace if pace else None
        size = output_bytes(info, request)
        return Forecast(job.name, job.writes, info.seconds, chunks, size, expected, skipped)

    return [row(job) for job in todo.jobs]


def pace_key(request: Request, files: ChainFiles) -> str:
    """What speed depends on: command, models, device, precision, batch, chunks."""
    return settings_hash(request.form, asdict(files))


COMPRESSED = (".flac", ".ogg", ".oga", ".opus", ".mp3", *kinds.WRITABLE)
BYTES_PER_SAMPLE = {
    "PCM_U8": 1,
    "PCM_S8": 1,
    "ULAW": 1,
    "ALAW": 1,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
}


def output_bytes(info: AudioInfo, request: Request) -> int:
    """An upper estimate of an output's size: uncompressed samples of the input's depth."""
    rate = request.sound.rate or info.sample_rate
    channels = 1 if request.sound.channels == "mono" else info.channels
    return int(info.seconds * rate * channels * BYTES_PER_SAMPLE.get(info.subtype, 2))


def check_space(todo: Plan, infos: dict[int, AudioInfo]) -> None:
    """Raise `OutputError` when the outputs cannot fit the disk, before any time is spent on them."""
    if todo.journal is None or todo.request.form == "tokenize":
        return
    # how far a compressed output shrinks is known afterwards: it is not held against the disk
    needed = sum(
        output_bytes(infos[job.index], todo.request)
        for job in todo.jobs
        if job.index in infos and job.target.suffix.lower() not in COMPRESSED
    )
    free = shutil.disk_usage(todo.journal).free
    if needed > free:
        raise OutputError(
            f"no space in {todo.journal}: needs about {needed / 1e6:,.1f} MB, {free / 1e6:,.1f} MB are free",
            hint="Free some space, give another folder, or choose --format flac.",
        )
