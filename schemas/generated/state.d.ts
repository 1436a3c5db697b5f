// Generated from schemas/**/*.schema.json by `npm run generate`. Do not edit.
import type { Validator } from "./validator.ts";
import type { AutoscalerObject, DesiredObject, EndpointObject, EndpointsHead, EndpointsShard, NodeObject, PodObject, ProxyObject, ServiceObject, SnapshotLine, TemplateObject, WorkloadObject } from "./types.ts";

export declare const autoscalerObject: Validator<AutoscalerObject>;
export declare const desiredObject: Validator<DesiredObject>;
export declare const endpointObject: Validator<EndpointObject>;
export declare const endpointsHead: Validator<EndpointsHead>;
export declare const endpointsShard: Validator<EndpointsShard>;
export declare const nodeObject: Validator<NodeObject>;
export declare const podObject: Validator<PodObject>;
export declare const proxyObject: Validator<ProxyObject>;
export declare const serviceObject: Validator<ServiceObject>;
export declare const snapshotLine: Validator<SnapshotLine>;
export declare const templateObject: Validator<TemplateObject>;
export declare const workloadObject: Validator<WorkloadObject>;
