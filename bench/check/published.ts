/**
 * What others measured of Porcupine (Go) on recorded histories that are here too, on their machines: Go is no npm
 * package, so it does not run beside ours. Read them as magnitudes.
 *
 * Registers: benchstat of Porcupine's own benchmarks, github.com/anishathalye/porcupine pull request 36, first column,
 * November 2025. Key-value: the medians that the authors of porcupine-rust published of Porcupine, Apple M1, Go 1.26,
 * April 2026.
 */
export const porcupinePublishedMicroseconds: Readonly<Record<string, number>> = {
  "etcd-register/etcd_000.log": 103.0,
  "etcd-register/etcd_001.log": 124.7,
  "etcd-register/etcd_002.log": 83_690,
  "etcd-register/etcd_003.log": 60.76,
  "etcd-register/etcd_004.log": 32.56,
  "etcd-register/etcd_005.log": 81.1,
  "etcd-register/etcd_006.log": 69.19,
  "etcd-register/etcd_007.log": 65_310,
  "etcd-register/etcd_008.log": 35.03,
  "etcd-register/etcd_009.log": 51.02,
  "etcd-register/etcd_010.log": 35.95,
  "kv/c10-ok.txt": 239,
  "kv/c10-bad.txt": 168,
};
