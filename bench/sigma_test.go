package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"spoor/bench"
	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/sigma"
)

// sigmaSet is every rule that can be imported from ../shared/sigma, about a thousand, times over: in each further
// copy the texts that rules compare with are others, of the same length. Regexes are the same, and so are rules of
// nothing but negations, which would match every event with other texts.
func sigmaSet(b testing.TB, times int) *rules.Set {
	return compile(b, sigmaPolicies(b, times))
}

var oneRulePolicy = fstest.MapFS{"one.yaml": &fstest.MapFile{Data: []byte(`
rules:
  - id: one
    expression: |
      evt.name == "exec" and process.executable.name == "mimikatz.exe"
`)}}

func load(b testing.TB, policies fstest.MapFS) *policy.Set {
	loaded, ds := policy.LoadFS(policies)
	if loaded == nil {
		b.Fatal(ds.Err())
	}
	return loaded
}

func compile(b testing.TB, policies fstest.MapFS) *rules.Set {
	set, ds := rules.Compile(load(b, policies))
	if set == nil {
		b.Fatal(ds.Err())
	}
	return set
}

func sigmaPolicies(b testing.TB, times int) fstest.MapFS {
	folder := filepath.Join("..", "..", "shared", "sigma", "rules")
	if _, err := os.Stat(folder); err != nil {
		b.Skip("no rules in ../shared/sigma")
	}
	sources, ds := policy.ReadImportSources([]string{folder}, ".yml", ".yaml")
	if err := ds.Err(); err != nil {
		b.Fatal(err)
	}
	negations := map[string]bool{"sigma-71158e3f-df67-472b-930e-7d287acaa3e1": true, "sigma-c09dad97-1c78-4f71-b127-7edb2b8e491a": true}
	fsys := fstest.MapFS{}
	for n := range times {
		for _, p := range sigma.Import(sources, sigma.Options{}).Policies {
			if n > 0 {
				p.Name.Value += fmt.Sprintf("-%d", n)
				for i := range p.Rules {
					r := &p.Rules[i]
					if !negations[r.ID.Value] {
						r.Expression.Text = otherTexts(r.Expression.Text, n)
					}
					r.ID.Value += fmt.Sprintf("-%d", n)
				}
			}
			fsys[fmt.Sprintf("%d/%s", n, p.Path)] = &fstest.MapFile{Data: policy.Print(p)}
		}
	}
	return fsys
}

var literals = regexp.MustCompile("evt\\.name in \\[[^]]*\\]|(?:matches |evt\\.name == )?(?:`[^`]*`|\"[^\"]*\")")

// otherTexts moves every letter of the constants in an expression on by n, but for regexes and event names.
func otherTexts(expression string, n int) string {
	if strings.Contains(expression, "matches #") {
		return expression
	}
	return literals.ReplaceAllStringFunc(expression, func(s string) string {
		if s[0] != '`' && s[0] != '"' {
			return s
		}
		out := []byte(s)
		for i, c := range out {
			switch {
			case i > 0 && out[i-1] == '\\': // perhaps an escape
			case 'a' <= c && c <= 'z':
				out[i] = 'a' + (c-'a'+byte(n))%26
			case 'A' <= c && c <= 'Z':
				out[i] = 'A' + (c-'A'+byte(n))%26
			}
		}
		return string(out)
	})
}

var pids = regexp.MustCompile(`("p?pid":)(\d+)`)

// multiplied is records of times as many hosts, each with process ids of its own, so that caches are not flattered.
func multiplied(records []bench.Record, times int) []bench.Record {
	out := make([]bench.Record, 0, len(records)*times)
	for _, r := range records {
		for n := range times {
			r := r
			r.Key = fmt.Sprintf("%s-%d", r.Key, n)
			r.Value = pids.ReplaceAllFunc(r.Value, func(m []byte) []byte {
				at := strings.IndexByte(string(m), ':') + 1
				pid, _ := strconv.Atoi(string(m[at:]))
				return strconv.AppendInt(m[:at:at], int64(pid+n*100_000), 10)
			})
			out = append(out, r)
		}
	}
	return out
}
