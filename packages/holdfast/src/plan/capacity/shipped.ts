/**
 * The shipped table: what one instance (one core) or one node does, with a source for each figure. Where the source is
 * a measurement of this project, the table is `bench/README.md`; where a figure is an estimate, it says so. A node is
 * a virtual machine of `node.cores` with a local or network SSD.
 */
import type { Unit } from "../format.ts";
import {
  type Capacity,
  type CapacityId,
  type CapacityTable,
  capacityIds,
  checkCapacities,
} from "./capacity.ts";

type Bounds = readonly [low: number, mid: number, high: number];
type Row = readonly [title: string, bounds: Bounds, unit: Unit, source: string];

const [MB, GB, TB] = [1e6, 1e9, 1e12];
const second = 1_000;

const instanceSla =
  "AWS Compute SLA: 99.5 % for one instance; 99.9 % and above is what operators report for one that is restarted at once (estimate)";
const supervised =
  "restart by a supervisor in about a second (this project), rescheduling of a container in some ten (estimate)";
const failover =
  "Amazon RDS user guide: Multi-AZ failover is typically 60 to 120 s; Patroni's default ttl is 30 s; 10 s with a short lease (estimate)";
const serverMemory =
  "Redis Software guidance: shards of up to 25 GB; larger ones take long to copy after a failure";

const rows: Readonly<Record<CapacityId, Row>> = {
  "gateway.requests": [
    "requests one gateway worker passes on",
    [10_000, 20_000, 30_000],
    "/s",
    "bench gateway: 19,957/s on one core, nginx 29,342/s beside it; half of it with TLS and long headers (estimate)",
  ],
  "gateway.ms": [
    "time of one request in the gateway",
    [0.05, 0.1, 0.5],
    "ms",
    "bench gateway: 0.05 ms of processor a request; with parsing of bodies and TLS more (estimate)",
  ],
  "gateway.connections": [
    "connections one gateway worker holds",
    [1_000, 10_000, 50_000],
    "count",
    "1,024 open files are Linux's usual soft limit; ten thousand for one event loop is D. Kegel, The C10K problem",
  ],
  "gateway.availability": ["one gateway worker is up", [0.995, 0.999, 0.9999], "ratio", instanceSla],
  "gateway.recovery": ["until a gateway worker is back", [second, 5 * second, 30 * second], "ms", supervised],
  "service.requests": [
    "requests one service instance answers",
    [2_000, 5_000, 15_000],
    "/s",
    "bench redirects: 14,559/s on one core from the cache, the best case; 0.2 and 0.5 ms of processor a request for the middle and the low figure (estimate)",
  ],
  "service.ms": [
    "processor time of one request in a service",
    [0.07, 0.2, 0.5],
    "ms",
    "bench redirects: 0.07 ms a request; the middle and the high figure leave room for the handler's own work (estimate)",
  ],
  "service.availability": ["one service instance is up", [0.995, 0.999, 0.9999], "ratio", instanceSla],
  "service.recovery": [
    "until a service instance is back",
    [second, 5 * second, 30 * second],
    "ms",
    supervised,
  ],
  "worker.messages": [
    "messages one worker handles, in batches",
    [2_000, 10_000, 100_000],
    "/s",
    "bench topic: 122,870/s without any work of their own; 2,000 transactions/s when each message writes alone (bench database)",
  ],
  "worker.ms": [
    "time of one message in a batch",
    [0.01, 0.1, 0.5],
    "ms",
    "bench topic: 0.01 ms a message without work; one transaction each at 16 in flight is 0.5 ms (bench database)",
  ],
  "worker.availability": ["one worker is up", [0.995, 0.999, 0.9999], "ratio", instanceSla],
  "worker.recovery": ["until a worker is back", [second, 5 * second, 30 * second], "ms", supervised],
  "database.reads": [
    "reads by key that one Postgres node answers",
    [10_000, 30_000, 100_000],
    "/s",
    "bench database: 9,930/s on two shared cores, client included; about 12,000/s a core for point reads on 72 cores (A. Korotkov and A. Kopytov, Percona blog, 2017), taken for 8",
  ],
  "database.writes": [
    "small write transactions that one Postgres primary commits",
    [2_000, 5_000, 20_000],
    "/s",
    "bench database: 2,008/s on two shared cores, durable, with marker; more cores and a faster disk share commits (estimate)",
  ],
  "database.read-ms": [
    "one read by key, with its round trip",
    [0.2, 0.5, 2],
    "ms",
    "bench database: 0.22 ms with one in flight on loopback; a round trip within a zone is about 0.5 ms (J. Dean, 2009)",
  ],
  "database.write-ms": [
    "one small write transaction, durable, with its round trips",
    [1, 2, 10],
    "ms",
    "bench database: 1.0 ms with one in flight on loopback; network disks flush in 1 to 5 ms (estimate)",
  ],
  "database.bytes": [
    "data one Postgres node keeps and can restore in hours",
    [500 * GB, 2 * TB, 8 * TB],
    "B",
    "2 TB at 250 MB/s are restored in 2.2 hours; PostgreSQL's own limit is 32 TB a table (documentation, appendix K)",
  ],
  "database.connections": [
    "connections one Postgres node works well with",
    [100, 200, 500],
    "count",
    "PostgreSQL's default max_connections is 100; beyond some hundreds snapshots cost every query (A. Freund, 2020)",
  ],
  "database.connection-memory": [
    "memory of one Postgres connection",
    [2 * MB, 5 * MB, 10 * MB],
    "B",
    "A. Freund, Measuring the Memory Overhead of a Postgres Connection, 2020: below 2 MiB with huge pages; page tables and catalogue caches add some more",
  ],
  "database.availability": ["one database server is up", [0.995, 0.999, 0.9995], "ratio", instanceSla],
  "database.recovery": [
    "until a standby has taken over",
    [10 * second, 60 * second, 120 * second],
    "ms",
    failover,
  ],
  "cache.hits": [
    "hits of a cache within a process",
    [1_000_000, 2_000_000, 4_000_000],
    "/s",
    "bench cache: 2.01 million/s; lru-cache beside it 3.97 million/s",
  ],
  "cache.ms": ["one hit within a process", [0.00025, 0.0005, 0.001], "ms", "bench cache: 0.5 µs"],
  "cache.bytes": [
    "memory of a cache within a process",
    [64 * MB, 500 * MB, 2 * GB],
    "B",
    "this project's default is 64 MiB; V8's heap ends at 2 to 4 GB unless told otherwise (Node.js documentation)",
  ],
  "cache-server.operations": [
    "operations of one cache server",
    [70_000, 100_000, 200_000],
    "/s",
    "redis-benchmark without pipelining: 76,000 to 134,000/s published (c5.9xlarge, 2019; J. Carlson, 2016); I/O threads bring more",
  ],
  "cache-server.ms": [
    "one operation of a cache server, with its round trip",
    [0.2, 0.5, 1],
    "ms",
    "a round trip within a zone is about 0.5 ms (J. Dean, 2009); the operation itself takes microseconds",
  ],
  "cache-server.bytes": ["memory of one cache server", [8 * GB, 25 * GB, 100 * GB], "B", serverMemory],
  "cache.availability": ["one cache server is up", [0.995, 0.999, 0.9995], "ratio", instanceSla],
  "cache.recovery": [
    "until another cache server has taken over",
    [15 * second, 30 * second, 60 * second],
    "ms",
    "Redis defaults: cluster-node-timeout 15 s, Sentinel's down-after 30 s",
  ],
  "topic.writes": [
    "messages published to one topic node",
    [10_000, 20_000, 200_000],
    "/s",
    "bench topic: 20,089/s at 64 in flight on two shared cores; Kafka 262,000/s a machine, three copies (J. Kreps, LinkedIn, 2014)",
  ],
  "topic.reads": [
    "messages read from one topic node",
    [50_000, 120_000, 900_000],
    "/s",
    "bench topic: 122,870/s in recorded batches; Kafka 940,521/s for one consumer (J. Kreps, LinkedIn, 2014)",
  ],
  "topic.ms": [
    "one publish, durable",
    [0.7, 2, 10],
    "ms",
    "bench topic: 0.74 ms with one in flight; with copies and a network some more (estimate)",
  ],
  "topic.bytes": [
    "messages one topic node keeps",
    [100 * GB, 1 * TB, 5 * TB],
    "B",
    "what one SSD holds beside the rest; copying 1 TB to a new node at 125 MB/s takes 2.2 hours",
  ],
  "topic.availability": ["one topic node is up", [0.995, 0.999, 0.9995], "ratio", instanceSla],
  "topic.recovery": [
    "until another topic node has taken over",
    [10 * second, 60 * second, 120 * second],
    "ms",
    failover,
  ],
  "queue.writes": [
    "messages put on one queue node",
    [2_000, 10_000, 50_000],
    "/s",
    "bench database: 2,008 single writes/s; bench topic: 20,089/s when commits are shared",
  ],
  "queue.reads": [
    "messages taken from one queue node",
    [2_000, 10_000, 50_000],
    "/s",
    "bench topic: 99,457/s with delete … skip locked in batches; one by one as single writes (bench database)",
  ],
  "queue.ms": [
    "one message put or taken, durable",
    [1, 2, 10],
    "ms",
    "as one small write transaction of the database",
  ],
  "queue.bytes": [
    "messages that wait on one queue node",
    [10 * GB, 100 * GB, 1 * TB],
    "B",
    "a queue should be short: a tenth of what a topic keeps (estimate)",
  ],
  "queue.availability": ["one queue node is up", [0.995, 0.999, 0.9995], "ratio", instanceSla],
  "queue.recovery": [
    "until another queue node has taken over",
    [10 * second, 60 * second, 120 * second],
    "ms",
    failover,
  ],
  "search.reads": [
    "searches one node answers",
    [100, 400, 1_600],
    "/s",
    "8 cores and 5, 20 or 80 ms of processor a search (estimate: measure yours)",
  ],
  "search.writes": [
    "documents one node indexes",
    [1_000, 5_000, 20_000],
    "/s",
    "8 cores and 0.4, 1.6 or 8 ms of processor a document (estimate: measure yours)",
  ],
  "search.ms": [
    "one search",
    [5, 20, 80],
    "ms",
    "processor time of one search on one shard (estimate: measure yours)",
  ],
  "search.bytes": [
    "index one search node keeps",
    [100 * GB, 500 * GB, 2 * TB],
    "B",
    "Elastic and OpenSearch documentation: shards of 10 to 50 GB; ten to forty of them a node (estimate)",
  ],
  "search.availability": ["one search node is up", [0.995, 0.999, 0.9995], "ratio", instanceSla],
  "search.recovery": [
    "until another search node has taken over",
    [10 * second, 60 * second, 120 * second],
    "ms",
    failover,
  ],
  "bucket.reads": [
    "reads for each prefix of an object store",
    [5_500, 5_500, 55_000],
    "/s",
    "Amazon S3 user guide: at least 5,500 GET a second for each partitioned prefix; ten prefixes 55,000",
  ],
  "bucket.writes": [
    "writes for each prefix of an object store",
    [3_500, 3_500, 35_000],
    "/s",
    "Amazon S3 user guide: at least 3,500 PUT a second for each partitioned prefix; ten prefixes 35,000",
  ],
  "bucket.ms": [
    "first byte of a small object",
    [50, 120, 200],
    "ms",
    "Amazon S3 user guide, performance guidelines: about 100 to 200 ms",
  ],
  "bucket.availability": [
    "the object store answers",
    [0.999, 0.9999, 0.99995],
    "ratio",
    "Amazon S3 Standard: SLA 99.9 %, designed for 99.99 %",
  ],
  "cdn.ms": [
    "one answer from the nearest edge",
    [5, 20, 50],
    "ms",
    "a round trip to an edge in the same city or country (estimate)",
  ],
  "cdn.availability": [
    "the CDN answers",
    [0.999, 0.9999, 0.99999],
    "ratio",
    "Amazon CloudFront SLA: 99.9 %; above it is an estimate",
  ],
  "external.ms": [
    "one call of a third party",
    [50, 200, 1_000],
    "ms",
    "an HTTPS call over the internet that does some work (estimate: measure yours)",
  ],
  "external.availability": [
    "a third party answers",
    [0.99, 0.999, 0.9995],
    "ratio",
    "usual SLAs of web interfaces: 99 % to 99.95 % (estimate)",
  ],
  "node.cores": [
    "processors of a node",
    [4, 8, 16],
    "count",
    "general-purpose cloud instances of xlarge to 4xlarge",
  ],
  "node.memory": [
    "memory of a node",
    [16 * GB, 32 * GB, 64 * GB],
    "B",
    "general-purpose cloud instances: 4 GiB a core",
  ],
  "network.bytes": [
    "bytes a node sends",
    [125 * MB, 390 * MB, 1_560 * MB],
    "B/s",
    "1 Gb/s; the 3.125 Gb/s baseline of an AWS m6i.2xlarge and its 12.5 Gb/s burst (Amazon EC2 user guide)",
  ],
  "network.zone-ms": [
    "a round trip within a zone",
    [0.1, 0.5, 1],
    "ms",
    "J. Dean, Designs, Lessons and Advice from Building Large Distributed Systems, 2009: 0.5 ms",
  ],
  "network.region-ms": [
    "a round trip between regions",
    [20, 70, 150],
    "ms",
    "J. Dean, 2009: 150 ms from California to the Netherlands and back; 70 ms across a continent is 14,000 km of fibre at 200 km/ms",
  ],
  "disk.operations": [
    "operations of a disk",
    [3_000, 16_000, 100_000],
    "/s",
    "Amazon EBS gp3: 3,000 to begin with, 16,000 to buy; a local NVMe disk 100,000 and more",
  ],
  "disk.bytes": [
    "bytes of a disk",
    [131 * MB, 500 * MB, 1_048 * MB],
    "B/s",
    "Amazon EBS gp3: 125 MiB/s to begin with, 1,000 MiB/s to buy",
  ],
  "region.availability": [
    "a region is up",
    [0.9995, 0.9999, 0.99999],
    "ratio",
    "AWS Compute SLA: 99.99 % for a region; the bounds around it are an estimate",
  ],
};

/** @throws {RangeError} never, unless a row above is wrong: the table is checked when it is loaded */
export const shippedCapacities: CapacityTable = checkCapacities({
  title: "the shipped table, whose figures have a source each",
  capacities: Object.fromEntries(capacityIds.map((id) => [id, capacityOf(id, rows[id])])) as Record<
    CapacityId,
    Capacity
  >,
});

function capacityOf(id: CapacityId, [title, [low, mid, high], unit, source]: Row): Capacity {
  return { id, title, low, mid, high, unit, source, origin: "shipped" };
}
