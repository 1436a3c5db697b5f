// Generated from schemas/**/*.schema.json by `npm run generate`. Do not edit.
import type { Validator } from "./validator.ts";
import type { Accepted, ApiError, ApplyRequest, Assign, AssignReply, DeleteRequest, EndpointDeregisterRequest, EndpointRegisterRequest, Event, Feed, Heartbeat, LeaderBeat, ListReply, ListRequest, LogChunk, LogsCredit, LogsRequest, NodeMetrics, Problem, ProxyHeartbeat, ProxyMetrics, Report, ScaleRequest, Sync, TopReply } from "./types.ts";

export declare const accepted: Validator<Accepted>;
export declare const apiError: Validator<ApiError>;
export declare const applyRequest: Validator<ApplyRequest>;
export declare const assignReply: Validator<AssignReply>;
export declare const assign: Validator<Assign>;
export declare const deleteRequest: Validator<DeleteRequest>;
export declare const endpointDeregisterRequest: Validator<EndpointDeregisterRequest>;
export declare const endpointRegisterRequest: Validator<EndpointRegisterRequest>;
export declare const event: Validator<Event>;
export declare const feed: Validator<Feed>;
export declare const heartbeat: Validator<Heartbeat>;
export declare const leaderBeat: Validator<LeaderBeat>;
export declare const listReply: Validator<ListReply>;
export declare const listRequest: Validator<ListRequest>;
export declare const logChunk: Validator<LogChunk>;
export declare const logsCredit: Validator<LogsCredit>;
export declare const logsRequest: Validator<LogsRequest>;
export declare const nodeMetrics: Validator<NodeMetrics>;
export declare const problem: Validator<Problem>;
export declare const proxyHeartbeat: Validator<ProxyHeartbeat>;
export declare const proxyMetrics: Validator<ProxyMetrics>;
export declare const report: Validator<Report>;
export declare const scaleRequest: Validator<ScaleRequest>;
export declare const sync: Validator<Sync>;
export declare const topReply: Validator<TopReply>;
