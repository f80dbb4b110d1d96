<%@ page trimDirectiveWhitespaces="true" import="java.net.*, java.net.http.*, java.util.*" %>
<%@ page import="static java.nio.charset.StandardCharsets.UTF_8" %>
<%@ page import="org.apache.tomcat.util.json.JSONParser" %>
<%! String encode(Object text) {
      return URLEncoder.encode(text.toString(), UTF_8);
    } %>
<%
  var login = (Map<?, ?>) session.getAttribute("login");
  session.removeAttribute("login");
  String code = request.getParameter("code");
  if (login == null || code == null || !login.get("state").equals(request.getParameter("state"))) {
    response.sendError(400);
    return;
  }
  String issuer = System.getenv("OIDC_ISSUER"), clientId = System.getenv("OIDC_CLIENT_ID");
  String credentials = encode(clientId) + ":" + encode(System.getenv("OIDC_CLIENT_SECRET"));
  var tokenRequest = HttpRequest.newBuilder(URI.create(issuer + "/token"))
      .header("Authorization", "Basic " + Base64.getEncoder().encodeToString(credentials.getBytes(UTF_8)))
      .header("Content-Type", "application/x-www-form-urlencoded")
      .POST(HttpRequest.BodyPublishers.ofString("grant_type=authorization_code&code=" + encode(code)
          + "&redirect_uri=" + encode(login.get("redirect_uri"))
          + "&code_verifier=" + encode(login.get("verifier"))))
      .build();
  var answer = HttpClient.newHttpClient().send(tokenRequest, HttpResponse.BodyHandlers.ofString());
  String idToken = (String) new JSONParser(answer.body()).object().get("id_token");
  // It came from the OP itself, so its signature need not be verified (OpenID Connect Core 3.1.3.7).
  var claims = new JSONParser(new String(Base64.getUrlDecoder().decode(idToken.split("\\.")[1]), UTF_8)).object();
  if (!issuer.equals(claims.get("iss")) || !clientId.equals(claims.get("aud"))
      || !login.get("nonce").equals(claims.get("nonce"))) {
    response.sendError(400);
    return;
  }
  request.changeSessionId();
  session.setAttribute("user", claims.get("sub"));
  // The one line for edge-logout.
  response.setHeader("edge-logout-id-token", idToken);
  response.sendRedirect("./");
%>
