package bench

import "time"

// random is SplitMix64. It is ours because the bytes of the traffic must not change with the standard library.
// It is owned by one host, or by the simulation.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// intn is uniform enough in [0, n).
func (r *random) intn(n int) int { return int(r.next() % uint64(n)) }

// chance is true in p of 1000 cases.
func (r *random) chance(p int) bool { return r.intn(1000) < p }

// span is uniform in [lo, hi), in whole milliseconds.
func (r *random) span(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.intn(int((hi-lo)/time.Millisecond)))*time.Millisecond
}

// wait is an exponential waiting time with the given mean, in whole milliseconds, at most five times the mean.
// It is a table of 64 quantiles: floating point may differ from machine to machine.
func (r *random) wait(mean time.Duration) time.Duration {
	return mean * time.Duration(exponential[r.intn(len(exponential))]) / 1000 / time.Millisecond * time.Millisecond
}

// exponential holds the middle of each 64th of the distribution with mean 1000.
var exponential = [64]int{
	8, 24, 40, 56, 73, 90, 107, 125, 143, 161, 179, 198, 217, 237, 257, 277,
	298, 319, 341, 363, 386, 409, 433, 458, 483, 508, 535, 562, 589, 618, 647, 678,
	709, 741, 774, 809, 845, 882, 920, 960, 1002, 1045, 1091, 1138, 1188, 1241, 1297, 1356,
	1418, 1485, 1556, 1633, 1717, 1808, 1908, 2019, 2144, 2287, 2454, 2655, 2906, 3243, 3753, 4852,
}

func pick[T any](r *random, from []T) T { return from[r.intn(len(from))] }
