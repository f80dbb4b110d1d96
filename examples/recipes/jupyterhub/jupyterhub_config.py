# JupyterHub with its own OAuth login: nothing but documented settings.
import os
import socket


def free_url():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


issuer = os.environ["OIDC_ISSUER"]
public = f"{os.environ['PUBLIC_URL']}/jupyterhub/"

c = get_config()  # noqa: F821
c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['PORT']}/jupyterhub/"
c.JupyterHub.hub_bind_url = free_url()
c.ConfigurableHTTPProxy.api_url = free_url()
c.ConfigurableHTTPProxy.command = [".built/node_modules/.bin/configurable-http-proxy"]
c.ConfigurableHTTPProxy.pid_file = f"{os.environ['DATA']}/proxy.pid"
c.JupyterHub.db_url = f"sqlite:///{os.environ['DATABASE']}"
c.JupyterHub.cookie_secret_file = f"{os.environ['DATA']}/cookie_secret"
# No notebook is started: it is about the login.
c.JupyterHub.redirect_to_server = False

c.JupyterHub.authenticator_class = "generic-oauth"
c.GenericOAuthenticator.login_service = "the OP"
c.GenericOAuthenticator.client_id = os.environ["OIDC_CLIENT_ID"]
c.GenericOAuthenticator.client_secret = os.environ["OIDC_CLIENT_SECRET"]
c.GenericOAuthenticator.oauth_callback_url = f"{public}hub/oauth_callback"
c.GenericOAuthenticator.authorize_url = f"{issuer}/auth"
c.GenericOAuthenticator.token_url = os.environ["OIDC_TOKEN_ENDPOINT"]
c.GenericOAuthenticator.userdata_url = f"{issuer}/me"
c.GenericOAuthenticator.logout_redirect_url = f"{issuer}/session/end"
c.GenericOAuthenticator.scope = ["openid"]
c.GenericOAuthenticator.username_claim = "sub"
c.GenericOAuthenticator.allow_all = True
