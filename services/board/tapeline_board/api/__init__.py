"""HTTP: routes, schemas, query parameters, security headers, the types of the front end."""
