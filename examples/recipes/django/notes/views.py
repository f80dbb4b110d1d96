import hashlib

from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST


def index(request):
    return render(request, "page.html")


@require_POST
@login_required
def note(request):
    request.session["note"] = request.POST["note"]
    return redirect("index")


@require_POST
@login_required
def upload(request):
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    request.session["upload"] = f"{file.size} bytes, sha256 {digest.hexdigest()}"
    return redirect("index")
