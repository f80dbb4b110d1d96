export default { basePath: '/next-auth' };
