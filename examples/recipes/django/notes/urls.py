from django.urls import include, path

from . import views

urlpatterns = [
    path("django/", views.index, name="index"),
    path("django/note", views.note, name="note"),
    path("django/upload", views.upload, name="upload"),
    path("django/oidc/", include("mozilla_django_oidc.urls")),
]
