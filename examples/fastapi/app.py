"""Pictures: a form, a page that follows the upload, and the picture when it is stored."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import AsyncIterator
from html import escape
from typing import Any

from fastapi import FastAPI, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

import b2jobs
import b2jobs.aio

BUCKET = os.environ.get("BUCKET", "my-pictures")
FORM = """<!doctype html><title>Pictures</title>
<form action="/" method="post" enctype="multipart/form-data">
  <input type="file" name="file" required> <button>Store it</button>
</form>"""
PAGE = """<!doctype html><title>Picture</title>
<p id="state">waiting</p> <progress id="bar" value="0" max="1"></progress>
<script>
  const events = new EventSource("/pictures/%s/events");
  const state = document.getElementById("state"), bar = document.getElementById("bar");
  events.addEventListener("progress", (event) => {
    const {phase, done, total} = JSON.parse(event.data);
    state.textContent = phase || "waiting";
    if (total) { bar.value = done / total; }
  });
  events.addEventListener("end", () => { events.close(); location.reload(); });
</script>"""

app = FastAPI()


@app.get("/")
async def form() -> HTMLResponse:
    return HTMLResponse(FORM)


@app.post("/")
async def upload(file: UploadFile) -> RedirectResponse:
    """The file is in Redis when this answers; nothing is kept here."""
    job = await b2jobs.aio.upload(file, f"b2://{BUCKET}/{uuid.uuid4()}/")
    return RedirectResponse(f"/pictures/{job.id}", status_code=303)


@app.get("/pictures/{job_id}")
async def picture(job_id: str) -> HTMLResponse:
    """The page that follows the job; once it has ended, what became of it."""
    record = await b2jobs.aio.job(job_id).record()
    if record.state == "succeeded" and record.result:
        name = escape(record.result["name"].rpartition("/")[2])
        link = f'<p>{name} is stored. <a href="/pictures/{escape(job_id)}/file">Open it</a></p>'
        return HTMLResponse(link)
    if record.has_ended:
        reason = record.failure.message if record.failure else record.state
        return HTMLResponse(f"<p>It was not stored: {escape(reason)}</p>")
    return HTMLResponse(PAGE % escape(job_id))


@app.get("/pictures/{job_id}/events")
async def events(job_id: str) -> StreamingResponse:
    return StreamingResponse(follow(job_id), media_type="text/event-stream")


@app.get("/pictures/{job_id}/file")
async def file(job_id: str) -> RedirectResponse:
    """The bucket is private: a URL that opens the file for ten minutes."""
    return RedirectResponse(await b2jobs.aio.job(job_id).share(600))


async def follow(job_id: str) -> AsyncIterator[str]:
    """Progress once a second, and the end as soon as it comes: `wait` is told of it."""
    job = b2jobs.aio.job(job_id)
    while True:
        try:
            await job.wait(timeout=1)
        except b2jobs.WaitTimeout:
            yield event("progress", await job.progress())
            continue
        except (b2jobs.JobFailed, b2jobs.JobCancelled):
            pass  # the page says why
        yield event("end", {})
        return


def event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


@app.exception_handler(b2jobs.B2JobsError)
async def refused(request: Request, error: Exception) -> HTMLResponse:
    """What b2jobs refuses, as a status and a sentence."""
    del request
    status = 500
    if isinstance(error, b2jobs.QueueUnavailable):
        status = 503
    elif isinstance(error, b2jobs.JobNotFound):
        status = 404
    elif isinstance(error, b2jobs.InvalidJob):
        status = 413 if error.code == "staged_too_large" else 400
    return HTMLResponse(f"<p>{escape(str(error))}</p>", status_code=status)
