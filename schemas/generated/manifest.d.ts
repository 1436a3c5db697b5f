// Generated from schemas/**/*.schema.json by `npm run generate`. Do not edit.
import type { Validator } from "./validator.ts";
import type { ServiceManifest, WorkloadManifest } from "./types.ts";

export declare const serviceManifest: Validator<ServiceManifest>;
export declare const workloadManifest: Validator<WorkloadManifest>;
