from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView


class Backend(OIDCAuthenticationBackend):
    """Users are known by their `sub`."""

    def verify_claims(self, claims):
        return "sub" in claims

    def filter_users_by_claims(self, claims):
        return self.UserModel.objects.filter(username=claims["sub"])

    def create_user(self, claims):
        return self.UserModel.objects.create_user(claims["sub"])

    def store_tokens(self, access_token, id_token):
        super().store_tokens(access_token, id_token)
        # For edge-logout: the callback announces it.
        self.request.id_token = id_token


class Callback(OIDCAuthenticationCallbackView):
    def login_success(self):
        response = super().login_success()
        # The one line for edge-logout.
        response["edge-logout-id-token"] = self.request.id_token
        return response
