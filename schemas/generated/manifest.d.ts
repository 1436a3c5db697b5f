// Generated from schemas/**/*.schema.json by `npm run generate`. Do not edit.
import type { Validator } from "./validator.ts";
import type { AutoscalerManifest, ServiceManifest, WorkloadManifest } from "./types.ts";

export declare const autoscalerManifest: Validator<AutoscalerManifest>;
export declare const serviceManifest: Validator<ServiceManifest>;
export declare const workloadManifest: Validator<WorkloadManifest>;
