{{/* Rules of network policies. Each is called with the root. Nothing may talk that no rule names. */}}

{{- define "policies.dns" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.global.networkPolicies.dns.namespace }}
    {{- range .Values.global.networkPolicies.dns.cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end }}

{{/* To Kafka: our cluster's pods, and the addresses of brokers outside. */}}
{{- define "policies.toKafka" -}}
- to:
    - podSelector:
        matchLabels: {strimzi.io/cluster: {{ include "apps.name" "kafka-cluster" }}, strimzi.io/kind: Kafka}
  ports: [{protocol: TCP, port: 9093}]
{{- include "policies.toAddresses" .Values.global.networkPolicies.kafka }}
{{- end }}

{{- define "policies.toElasticsearch" -}}
- to:
    - podSelector:
        matchLabels: {common.k8s.elastic.co/type: elasticsearch, elasticsearch.k8s.elastic.co/cluster-name: {{ include "apps.name" "elasticsearch-cluster" }}}
  ports: [{protocol: TCP, port: 9200}]
{{- include "policies.toAddresses" .Values.global.networkPolicies.elasticsearch }}
{{- end }}

{{- define "policies.toInference" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.global.inferenceNamespace }}
      podSelector:
        matchLabels:
          {{- include "apps.selector" "inference" | nindent 10 }}
  ports: [{protocol: TCP, port: 8000}]
{{- end }}

{{/* A rule to fixed addresses; none where no address is named. Call with (dict "cidrs" "except" "ports"). */}}
{{- define "policies.toAddresses" -}}
{{- if .cidrs }}
- to:
    {{- range $cidr := .cidrs }}
    - ipBlock:
        cidr: {{ $cidr }}
        {{- with $.except }}
        except: {{ toJson . }}
        {{- end }}
    {{- end }}
  ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end }}

{{/* From a Prometheus. Call with (dict "root" $ "port" PORT). */}}
{{- define "policies.fromMonitoring" -}}
- from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .root.Values.global.networkPolicies.monitoringNamespace }}
  ports: [{protocol: TCP, port: {{ .port }}}]
{{- end }}

{{- define "policies.spark" -}}
matchExpressions:
  - {key: spark-role, operator: In, values: [driver, executor]}
{{- end }}

{{/* Head of a policy of the release's namespace. Call with (dict "root" $ "name" NAME). */}}
{{- define "policies.head" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "apps.name" .name }}
  labels:
    {{- include "apps.labels" . | nindent 4 }}
{{- end }}
