<%@ page contentType="text/html; charset=UTF-8" import="java.util.Objects" %>
<%@ page import="org.apache.tomcat.util.security.Escape" %>
<%! String text(HttpSession session, String name) {
      return Escape.htmlElementContent(Objects.toString(session.getAttribute(name), ""));
    } %>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>tomcat</title>
<h1>tomcat</h1>
<% if (session.getAttribute("user") == null) { %>
<p class="user">Logged in user: null</p>
<p><a href="login">Log in</a></p>
<% } else { %>
<p class="user">Logged in user: <%= text(session, "user") %></p>
<p class="note"><%= text(session, "note") %></p>
<form method="post" action="<%= response.encodeURL("note") %>">
  <input name="note"> <button>Save</button>
</form>
<p class="upload"><%= text(session, "upload") %></p>
<form method="post" action="<%= response.encodeURL("upload") %>" enctype="multipart/form-data">
  <input type="file" name="file"> <button>Upload</button>
</form>
<form method="post" action="<%= response.encodeURL("logout") %>"><button>Log out</button></form>
<% } %>
</html>
