"""Settings for trying it; a real site has its own."""

import os

DEBUG = True
SECRET_KEY = os.environ.get("SECRET_KEY", "only for trying it")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
ROOT_URLCONF = "pictures.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
MIDDLEWARE = [
    "django.middleware.csrf.CsrfViewMiddleware",
    "pictures.views.Refusals",
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000  # files above 2.5 MB wait on disk, not in memory
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
BUCKET = os.environ.get("BUCKET", "my-pictures")
