"use strict";
// No validator and no deep addresses of others: the page asks this server alone.
const place = document.getElementById("docs");
window.SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  deepLinking: false, // its links would stand within buttons, where assistive programs do not find them
  validatorUrl: null,
  persistAuthorization: false,
  presets: [window.SwaggerUIBundle.presets.apis],
});
