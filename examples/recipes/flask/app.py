"""A Flask app with Authlib: its whole session is in Flask's signed cookie, none on the server."""

import hashlib
import os

from authlib.integrations.flask_client import OAuth
from flask import Blueprint, Flask, abort, redirect, render_template, request, session, url_for
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
# The public address is in X-Forwarded-Host and -Proto.
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1, x_host=1)
CSRFProtect(app)
oauth = OAuth(app)
oauth.register(
    "op",
    client_id=os.environ["OIDC_CLIENT_ID"],
    client_secret=os.environ["OIDC_CLIENT_SECRET"],
    server_metadata_url=f"{os.environ['OIDC_ISSUER']}/.well-known/openid-configuration",
    client_kwargs={"scope": "openid", "code_challenge_method": "S256"},
)
pages = Blueprint("pages", __name__, url_prefix="/flask")


@pages.get("")
def index():
    return render_template("page.html")


@pages.get("/login")
def login():
    return oauth.op.authorize_redirect(url_for("pages.callback", _external=True))


@pages.get("/callback")
def callback():
    token = oauth.op.authorize_access_token()
    session.clear()
    session["user"] = token["userinfo"]["sub"]
    response = redirect(url_for("pages.index"))
    # The one line for edge-logout.
    response.headers["edge-logout-id-token"] = token["id_token"]
    return response


@pages.post("/note")
def note():
    if "user" not in session:
        abort(401)
    session["note"] = request.form["note"]
    return redirect(url_for("pages.index"))


@pages.post("/upload")
def upload():
    if "user" not in session:
        abort(401)
    data = request.files["file"].read()
    session["upload"] = f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"
    return redirect(url_for("pages.index"))


@pages.post("/logout")
def logout():
    session.clear()
    return redirect(url_for("pages.index"))


app.register_blueprint(pages)
