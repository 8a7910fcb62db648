import os

import django
from django.test.utils import setup_test_environment

os.environ["DJANGO_SETTINGS_MODULE"] = "pictures.settings"
django.setup()
setup_test_environment()  # mails go to django.core.mail.outbox

pytest_plugins = ["b2jobs.testing"]
