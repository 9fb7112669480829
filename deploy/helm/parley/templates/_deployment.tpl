{{/*
A process: its Deployment, of
  root          the root context
  component     gateway, task, speech or avatar
  module        what Python runs
  probes        its startup, readiness and liveness probes
  graceSeconds  how long it may take from SIGTERM to its end
*/}}
{{- define "parley.deployment" -}}
{{- $root := .root }}
{{- $own := get $root.Values .component }}
{{- $models := $own.models | default dict }}
{{- $isEncrypted := ne $root.Values.tls.mode "plain" }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "parley.fullname" $root }}-{{ .component }}
  labels:
    {{- include "parley.labels" . | nindent 4 }}
spec:
  {{- if not $own.autoscaling.enabled }}
  replicas: {{ $own.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "parley.selector" . | nindent 6 }}
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels:
        {{- include "parley.labels" . | nindent 8 }}
      {{- with $own.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "parley.pod" $root | nindent 6 }}
      terminationGracePeriodSeconds: {{ add $root.Values.preStopSeconds .graceSeconds }}
      {{- if $models.download }}
      initContainers:
        - name: models
          image: {{ include "parley.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [parley, models, pull]
          env:
            {{- include "parley.env" . | nindent 12 }}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
          securityContext:
            {{- include "parley.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: models, mountPath: /models}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "parley.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [python, -m, {{ .module }}]
          env:
            {{- include "parley.env" . | nindent 12 }}
          ports:
            - {name: {{ eq .component "gateway" | ternary "http" "grpc" }}, containerPort: {{ include "parley.port" .component }}}
            - {name: metrics, containerPort: {{ $root.Values.monitoring.port }}}
          {{- .probes | nindent 10 }}
          lifecycle:
            preStop: {exec: {command: [sleep, {{ $root.Values.preStopSeconds | quote }}]}}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
          securityContext:
            {{- include "parley.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if $models }}
            - {name: models, mountPath: /models}
            {{- end }}
            {{- if $isEncrypted }}
            # Not by subPath, which would never see a new certificate.
            - {name: tls, mountPath: /tls, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- if $isEncrypted }}
        - name: tls
          secret: {secretName: {{ get $root.Values.tls.secrets .component }}, defaultMode: 0440}
        {{- end }}
        {{- if $models }}
        - name: models
          {{- if $models.existingClaim }}
          persistentVolumeClaim: {claimName: {{ $models.existingClaim }}}
          {{- else }}
          emptyDir: {sizeLimit: {{ $models.sizeLimit }}}
          {{- end }}
        {{- end }}
      topologySpreadConstraints:
        {{- range $root.Values.topologyKeys }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "parley.selector" $ | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- with $own.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}

{{/*
The probes of a gRPC service, of the root context, its component and the seconds that its start may
take. Kubernetes' own probe knows no TLS; ours shows the process's certificate, costs half a second of
CPU, and is made less often.
*/}}
{{- define "parley.grpcProbes" -}}
{{- $isEncrypted := ne .root.Values.tls.mode "plain" }}
{{- $grpc := printf "grpc: {port: %s}" (include "parley.port" .component) }}
{{- $ours := printf "exec: {command: [python, -m, parley.readiness, %s]}" .component }}
{{- $asked := $isEncrypted | ternary $ours $grpc -}}
startupProbe:
  {{ $asked }}
  periodSeconds: {{ $isEncrypted | ternary 5 2 }}
  timeoutSeconds: {{ $isEncrypted | ternary 10 1 }}
  failureThreshold: {{ div .startSeconds ($isEncrypted | ternary 5 2) }}
readinessProbe:
  {{ $asked }}
  periodSeconds: {{ $isEncrypted | ternary 15 5 }}
  timeoutSeconds: {{ $isEncrypted | ternary 10 3 }}
livenessProbe:
  {{ $asked }}
  periodSeconds: {{ $isEncrypted | ternary 30 10 }}
  timeoutSeconds: {{ $isEncrypted | ternary 10 5 }}
  # Busy cores are not a reason to start anew.
  failureThreshold: 6
{{- end }}
