package policy

// Suggest gives the candidate that name is most likely a slip of: the nearest by edits (insert, delete,
// replace, swap of neighbours), when it is near enough to be worth saying, else "". Case does not count.
// Of several equally near candidates the first is given.
func Suggest(name string, candidates []string) string {
	if name == "" || len(name) > 128 {
		return ""
	}
	best, bound := "", len(name)/3+1
	if bound > 3 {
		bound = 3
	}
	for _, c := range candidates {
		if c == name || len(c) > 256 {
			continue
		}
		// A distance as long as the candidate itself says nothing.
		if d := editDistance(lower(name), lower(c)); d <= bound && d < len(c) {
			best, bound = c, d-1
			if bound < 0 {
				break
			}
		}
	}
	return best
}

// lower folds ASCII letters: keys and ids have no others.
func lower(s string) []rune {
	out := []rune(s)
	for i, r := range out {
		if r >= 'A' && r <= 'Z' {
			out[i] = r + 'a' - 'A'
		}
	}
	return out
}

// editDistance is the optimal string alignment distance, in O(len(a)*len(b)) time and three rows.
func editDistance(a, b []rune) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
