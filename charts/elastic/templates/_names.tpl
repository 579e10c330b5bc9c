{{/* Every name of a resource that a template of this chart writes. Others are values: users and their Secrets.
     tests/charts/test_names.py refuses a name written out elsewhere. */}}

{{/* Elasticsearch and Kibana bear it, and what ECK makes for them begins with it. */}}
{{- define "elastic.cluster" -}}tapeline{{- end }}

{{/* A name by what it names. Call with a key. */}}
{{- define "elastic.name" -}}
{{- $cluster := include "elastic.cluster" . }}
{{- $names := dict
  "roles" (printf "%s-es-roles" $cluster)
  "kibana-http" (printf "%s-kb-http" $cluster)
  "kibana-ca" (printf "%s-kb-http-certs-public" $cluster)
  "elasticsearch-policy" "tapeline-elasticsearch"
  "kibana-policy" "tapeline-kibana"
  "dashboards" "tapeline-dashboards"
  "data-claim" "elasticsearch-data" }}
{{- if not (hasKey $names .) }}{{ fail (printf "\n%s has no name in charts/elastic/templates/_names.tpl: add it there." .) }}{{ end }}
{{- index $names . }}
{{- end }}
