"""The handlers of all addresses. Requests that reach them have passed the checks of `security`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dacse_cli.config import SoundOptions
from dacse_cli.serve.downloads import headers_of, make_file, sound_options
from dacse_cli.serve.pages import page
from dacse_cli.serve.problems import ApiError, gone, problem_of
from dacse_cli.serve.recordings import Recording, Shelf
from dacse_cli.serve.security import Gate
from dacse_cli.serve.uploads import MOST_BYTES, receive_body
from dacse_cli.serve.worker import Worker

_LOOKS_EVERY = 0.1
"""Polling interval in seconds for a recording that a client waits for."""
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Service:
    """The objects that the handlers use."""

    shelf: Shelf
    worker: Worker
    model: str
    document: str
    most_bytes: int = MOST_BYTES

    def routes(self) -> list[Route]:
        """Every address."""
        return [
            Route("/", self.show, methods=["GET"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/audio/enhance", self.enhance, methods=["POST"]),
            Route("/v1/recordings", self.recordings, methods=["GET"]),
            Route("/v1/recordings", self.upload, methods=["POST"]),
            Route("/v1/recordings/{key}", self.recording, methods=["GET"]),
            Route("/v1/recordings/{key}", self.remove, methods=["DELETE"]),
            Route("/v1/recordings/{key}/preview", self.preview, methods=["GET"]),
            Route("/v1/recordings/{key}/audio", self.audio, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page."""
        return HTMLResponse(self.document)

    async def models(self, request: Request) -> Response:
        """The one model that is loaded, or being loaded."""
        state = "ready" if self.worker.loaded.is_set() else "loading"
        model = {"id": self.model, "object": "model", "owned_by": "dacse", "state": state}
        return JSONResponse({"object": "list", "data": [model]})

    async def recordings(self, request: Request) -> Response:
        """All recordings of the page."""
        data = [one.to_json() for one in self.shelf.all()]
        return JSONResponse({"object": "list", "data": data, "ready": self.worker.loaded.is_set()})

    async def upload(self, request: Request) -> Response:
        """Add a recording for the page; its first seconds are enhanced first."""
        recording, _ = await self._received(request, wants_preview=True)
        return JSONResponse(recording.to_json(), 201)

    async def recording(self, request: Request) -> Response:
        """The progress of one recording."""
        return JSONResponse(self._named(request).to_json())

    async def remove(self, request: Request) -> Response:
        """Remove a recording and everything made from it."""
        await run_sync(self.shelf.remove, self._named(request).id)
        return Response(status_code=204)

    async def preview(self, request: Request) -> Response:
        """The first seconds in every strength."""
        recording = self._named(request)
        if recording.preview is None:
            raise recording.problem or ApiError(409, "not_ready", "the first seconds are not done yet")
        return JSONResponse(recording.preview)

    async def audio(self, request: Request) -> Response:
        """The finished recording as a file."""
        recording = self._named(request)
        sound = sound_options(request.query_params, ours=("token",))
        if recording.state != "done":
            raise recording.problem or ApiError(409, "not_ready", "this recording is not done yet")
        return await self._file(recording, sound)

    async def enhance(self, request: Request) -> Response:
        """A recording in, the enhanced recording out, in one request."""
        sound_options(request.query_params, ours=("token", "name", "model"))  # check before the long work
        recording, fields = await self._received(request, wants_preview=False)
        try:
            options = {**request.query_params, **fields}
            sound = sound_options(options, ours=("token", "name", "model"))
            asked = options.get("model") or self.model
            if asked != self.model:
                raise ApiError(404, "model_not_found", f"this server runs {self.model}", param="model")
            self.shelf.add(recording)
            await self._ended(request, recording)
            return await self._file(recording, sound, once=True)
        except BaseException:
            await run_sync(self._forget, recording)
            raise

    async def _ended(self, request: Request, recording: Recording) -> None:
        while recording.unfinished:
            if await request.is_disconnected():
                raise ApiError(499, "cancelled", "the client disconnected")
            await asyncio.sleep(_LOOKS_EVERY)
        if recording.problem is not None:
            raise recording.problem
        if recording.removed:
            raise gone()

    async def _file(self, recording: Recording, sound: SoundOptions, *, once: bool = False) -> Response:
        try:
            file = await run_sync(make_file, recording, sound)
        except Exception as error:
            raise problem_of(error) from error
        after = BackgroundTask(self._forget, recording) if once else None
        return FileResponse(file, background=after, **headers_of(recording, file))

    async def _received(self, request: Request, *, wants_preview: bool) -> tuple[Recording, dict[str, str]]:
        """A new recording from a request; one with a preview is already on the shelf."""
        folder = self.shelf.new_folder()
        try:
            source, name, fields = await receive_body(request, folder, self.most_bytes)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        recording = Recording(folder, source, name, wants_preview)
        if wants_preview:
            self.shelf.add(recording)
        return recording, fields

    def _named(self, request: Request) -> Recording:
        return self.shelf.get(request.path_params["key"])

    def _forget(self, recording: Recording) -> None:
        self.shelf.remove(recording.id)
        recording.erase()


def make_app(
    shelf: Shelf, worker: Worker, model: str, *, port: int, token: str, most_bytes: int = MOST_BYTES
) -> ASGIApp:
    """The application behind its access control."""
    document, policy = page(model)
    service = Service(shelf, worker, model, document, most_bytes)
    handlers: dict[Any, Any] = {ApiError: _tell, HTTPException: _tell_http}
    app = Starlette(routes=service.routes(), exception_handlers=handlers)
    return Gate(app, port=port, token=token, policy=policy)


async def _tell(request: Request, problem: ApiError) -> Response:
    return JSONResponse(problem.to_json(), problem.status)


async def _tell_http(request: Request, error: HTTPException) -> Response:
    problem = ApiError(
        error.status_code, "not_found" if error.status_code == 404 else "refused", error.detail
    )
    return JSONResponse(problem.to_json(), error.status_code, dict(error.headers or {}))
