"""The pages. Nothing of a picture is kept here: it goes into Redis, and from there to B2."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template import Context, Engine

import b2jobs

FORM = """<!doctype html><title>Pictures</title>
<form method="post" enctype="multipart/form-data">
  <input type="hidden" name="csrfmiddlewaretoken" value="{{ csrf_token }}">
  {{ form.as_p }} <button>Store it</button>
</form>"""
PAGE = """<!doctype html><title>Picture</title>
{% if record.state == "succeeded" %}
  <p>{{ name }} is stored. <a href="file">Open it</a></p>
{% elif record.has_ended %}
  <p>It was not stored: {{ record.failure.message|default:record.state }}</p>
{% else %}
  <p id="state">{{ record.state }}</p> <progress id="bar" value="0" max="1"></progress>
  <script>
    async function follow() {
      const now = await (await fetch("end")).json();
      if (now.ended) { location.reload(); return; }
      document.getElementById("state").textContent = now.progress.phase || now.state;
      if (now.progress.total) {
        document.getElementById("bar").value = now.progress.done / now.progress.total;
      }
      follow();
    }
    follow();
  </script>
{% endif %}"""


class UploadForm(forms.Form):
    file = forms.FileField()
    email = forms.EmailField(required=False, label="Mail me when it is stored")


def upload(request: HttpRequest) -> HttpResponse:
    """The form, and what it sends: the file is in Redis when this answers."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if not form.is_valid():
        return _page(request, FORM, form=form)
    email = form.cleaned_data["email"]
    job = b2jobs.upload(
        form.cleaned_data["file"],
        f"b2://{settings.BUCKET}/{uuid.uuid4()}/",
        on_done=[{"task": "pictures.tasks.stored", "kwargs": {"email": email}}] if email else [],
    )
    return redirect("picture", job.id)


def picture(request: HttpRequest, job_id: str) -> HttpResponse:
    """The page that follows the job; once it has ended, what became of it."""
    record = b2jobs.job(job_id).record()
    name = (record.result or {}).get("name", "").rpartition("/")[2]
    return _page(request, PAGE, record=record, name=name)


def end(request: HttpRequest, job_id: str) -> HttpResponse:
    """How the job stands: at once when it has ended, after a second otherwise."""
    job = b2jobs.job(job_id)
    try:
        job.wait(timeout=1)
    except b2jobs.WaitTimeout:
        return JsonResponse({"ended": False, "state": job.state(), "progress": job.progress()})
    except (b2jobs.JobFailed, b2jobs.JobCancelled):
        pass  # the page says why
    return JsonResponse({"ended": True})


def file(request: HttpRequest, job_id: str) -> HttpResponse:
    """The bucket is private: a URL that opens the file for ten minutes."""
    return redirect(b2jobs.job(job_id).share(600))


class Refusals:
    """Middleware: what b2jobs refuses, as a status and a sentence."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        match error:
            case b2jobs.QueueUnavailable():
                status = 503
            case b2jobs.JobNotFound():
                status = 404
            case b2jobs.InvalidJob(code="staged_too_large"):
                status = 413
            case b2jobs.InvalidJob():
                status = 400
            case _:
                return None
        return HttpResponse(str(error), status=status, content_type="text/plain")


def _page(request: HttpRequest, text: str, **context: object) -> HttpResponse:
    from django.middleware.csrf import get_token

    known = Context({"csrf_token": get_token(request), **context})
    return HttpResponse(Engine().from_string(text).render(known))
