"""HTTP: routes, query parameters, security headers, the types of the page."""
