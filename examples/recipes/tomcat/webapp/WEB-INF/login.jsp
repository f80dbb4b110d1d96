<%@ page trimDirectiveWhitespaces="true" import="java.net.URLEncoder, java.security.*, java.util.*" %>
<%@ page import="static java.nio.charset.StandardCharsets.UTF_8" %>
<%! String random() {
      byte[] bytes = new byte[32];
      new SecureRandom().nextBytes(bytes);
      return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    } %>
<%
  String state = random(), nonce = random(), verifier = random();
  byte[] hash = MessageDigest.getInstance("SHA-256").digest(verifier.getBytes(UTF_8));
  String redirectUri = System.getenv("PUBLIC_URL") + request.getContextPath() + "/callback";
  session.setAttribute("login", Map.of("state", state, "nonce", nonce, "verifier", verifier, "redirect_uri", redirectUri));
  response.sendRedirect(System.getenv("OIDC_ISSUER") + "/auth?response_type=code&scope=openid"
      + "&client_id=" + URLEncoder.encode(System.getenv("OIDC_CLIENT_ID"), UTF_8)
      + "&redirect_uri=" + URLEncoder.encode(redirectUri, UTF_8)
      + "&state=" + state + "&nonce=" + nonce + "&code_challenge_method=S256"
      + "&code_challenge=" + Base64.getUrlEncoder().withoutPadding().encodeToString(hash));
%>
