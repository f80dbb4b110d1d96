// The least that a proxy can do.
export default {
  fetch: (request) => fetch(request),
};
