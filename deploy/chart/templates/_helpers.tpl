{{- define "kube-ipvs.name" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $release := contains $chart .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $chart) -}}
{{- default $release .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "kube-ipvs.selector" -}}
k8s-app: {{ include "kube-ipvs.name" . }}
{{- end -}}

{{- define "kube-ipvs.labels" -}}
{{ include "kube-ipvs.selector" . }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{- define "kube-ipvs.service-account" -}}
{{- default (ternary (include "kube-ipvs.name" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "kube-ipvs.image" -}}
{{- with .Values.image -}}
{{- $tag := default $.Chart.AppVersion .tag -}}
{{ .repository }}{{ empty .digest | ternary (printf ":%s" $tag) (printf "@%s" .digest) }}
{{- end -}}
{{- end -}}

{{/* Fails where the ports of an instance for some Services are those of the kube-proxy beside it. */}}
{{- define "kube-ipvs.check-instance" -}}
{{- if .Values.serviceProxyName -}}
{{- range $field, $port := dict "healthzBindAddress" "10256" "metricsBindAddress" "10249" -}}
{{- if eq $port (include "kube-ipvs.port" (get $.Values $field)) -}}
{{- fail (printf "%s: kube-proxy listens on port %s; with serviceProxyName set another one, such as --set %s=0.0.0.0:%s" $field $port $field (replace "10" "11" $port)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The port of HOST:PORT or [HOST]:PORT. */}}
{{- define "kube-ipvs.port" -}}
{{- splitList ":" . | last -}}
{{- end -}}

{{/* Where the kubelet probes an address: the node's own addresses, unless it names one. */}}
{{- define "kube-ipvs.probe" -}}
{{- $host := . | trimSuffix (printf ":%s" (include "kube-ipvs.port" .)) | trimPrefix "[" | trimSuffix "]" -}}
port: {{ include "kube-ipvs.port" . }}
{{- if not (has $host (list "" "0.0.0.0" "::")) }}
host: {{ $host | quote }}
{{- end }}
{{- end -}}

{{/* relabelings of a monitor: $.job is the value `job`, $.pod the source of the node's name. */}}
{{- define "kube-ipvs.relabelings" -}}
- action: replace
  sourceLabels: [__meta_kubernetes_pod_node_name]
  targetLabel: node
{{- with .job }}
- action: replace
  targetLabel: job
  replacement: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The fields of an endpoint of a monitor. */}}
{{- define "kube-ipvs.endpoint" -}}
- port: metrics
{{- with .interval }}
  interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
  scrapeTimeout: {{ . }}
{{- end }}
  relabelings:
    {{- include "kube-ipvs.relabelings" . | nindent 4 }}
{{- end -}}
