<%@ page trimDirectiveWhitespaces="true" import="java.security.MessageDigest, java.util.HexFormat" %>
<%
  if (!request.getMethod().equals("POST")) {
    response.sendError(405);
    return;
  }
  if (session.getAttribute("user") == null) {
    response.sendError(401);
    return;
  }
  switch (request.getServletPath()) {
    case "/note":
      session.setAttribute("note", request.getParameter("note"));
      break;
    case "/upload":
      byte[] data = request.getPart("file").getInputStream().readAllBytes();
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(data);
      session.setAttribute("upload", data.length + " bytes, sha256 " + HexFormat.of().formatHex(digest));
      break;
    case "/logout":
      session.invalidate();
      break;
  }
  response.sendRedirect("./");
%>
