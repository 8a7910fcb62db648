from django.urls import path

from pictures import views

urlpatterns = [
    path("", views.upload),
    path("pictures/<job_id>/", views.picture, name="picture"),
    path("pictures/<job_id>/end", views.end),
    path("pictures/<job_id>/file", views.file),
]
