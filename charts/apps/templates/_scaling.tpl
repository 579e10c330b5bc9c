{{/* The object that scales a Deployment, one or the other, never both: an HPA on CPU, or KEDA's ScaledObject, which
     makes an HPA on CPU and a Prometheus query. Call with (dict "root" $ "name" NAME "values" VALUES "query" PROMQL). */}}
{{- define "apps.scaling" -}}
{{- $scaling := .values.autoscaling }}
{{- if eq $scaling.kind "hpa" }}
{{- include "apps.hpa" . }}
{{- else if eq $scaling.kind "keda" }}
{{- if not .root.Values.prometheus.url }}
{{- fail (printf "\nautoscaling.kind of %s was keda, and prometheus.url is empty: name the Prometheus that KEDA is to ask, or choose hpa." .name) }}
{{- end }}
{{- if not (.root.Capabilities.APIVersions.Has "keda.sh/v1alpha1/ScaledObject") }}
{{- fail (printf "\nautoscaling.kind of %s was keda, and this cluster knows no ScaledObject: install KEDA (`make operators KEDA=1`), or choose hpa.\nRendering without a cluster: add --api-versions keda.sh/v1alpha1/ScaledObject." .name) }}
{{- end }}
{{- include "apps.scaledObject" . }}
{{- end }}
{{- end }}

{{- define "apps.hpa" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "apps.name" .name }}
  namespace: {{ include "apps.namespace" . }}
  labels:
    {{- include "apps.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "apps.name" .name }}}
  minReplicas: {{ .values.autoscaling.minReplicas }}
  maxReplicas: {{ .values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .values.autoscaling.cpuPercent }}}
  behavior:
    {{- include "apps.scalingBehavior" . | nindent 4 }}
{{- end }}

{{- define "apps.scaledObject" -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "apps.name" .name }}
  namespace: {{ include "apps.namespace" . }}
  labels:
    {{- include "apps.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {name: {{ include "apps.name" .name }}}
  pollingInterval: 15
  minReplicaCount: {{ .values.autoscaling.minReplicas }}
  maxReplicaCount: {{ .values.autoscaling.maxReplicas }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "apps.scalingBehavior" . | nindent 8 }}
  triggers:
    - type: prometheus
      metadata:
        serverAddress: {{ .root.Values.prometheus.url | quote }}
        query: {{ .query | quote }}
        threshold: {{ .values.autoscaling.perReplica | toJson | quote }}
    - type: cpu
      metricType: Utilization
      metadata: {value: {{ .values.autoscaling.cpuPercent | toJson | quote }}}
{{- end }}

{{/* Up at once, down slowly: each change moves symbols or connections. */}}
{{- define "apps.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies: [{type: Pods, value: 2, periodSeconds: 30}]
scaleDown:
  stabilizationWindowSeconds: 300
  policies: [{type: Pods, value: 1, periodSeconds: 60}]
{{- end }}

{{/* A budget for voluntary evictions. Call with (dict "root" $ "name" NAME). */}}
{{- define "apps.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "apps.name" .name }}
  namespace: {{ include "apps.namespace" . }}
  labels:
    {{- include "apps.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "apps.selector" .name | nindent 6 }}
{{- end }}
