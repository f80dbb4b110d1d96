// The least that a Worker can do with a request: read its body.
export default {
  async fetch(request) {
    await request.arrayBuffer();
    return new Response();
  },
};
