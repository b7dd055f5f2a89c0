package policy_test

import (
	"fmt"
	"testing/fstest"

	"spoor/rules/policy"
)

const example = `name: office
version: 1.10
rules:
  - id: office_spawns_shell
    description: Office application started a shell
    expression: |
      evt.name == "exec"
        and process.parent.executable.name == "winword.exe"
    severity: high
    tags: {technique: [T1059.003, T1059.001]}
`

// A set is loaded from files and folders, or from a file system.
func ExampleLoadFS() {
	set, diags := policy.LoadFS(fstest.MapFS{"office.yaml": {Data: []byte(example)}})
	if err := diags.Err(); err != nil {
		fmt.Println(err)
		return
	}
	rule := set.Policies[0].Rules[0]
	fmt.Println(rule.ID.Value, rule.Version, rule.Severity, rule.Tags)
	fmt.Println(rule.Title)
	line, col := rule.Expression.Position(21) // the 'and'
	fmt.Println(line, col)
	// Output:
	// office_spawns_shell 1.10 high [severity:high technique:T1059.001 technique:T1059.003]
	// Office application started a shell
	// 8 9
}

// Every fault of every file is reported, with its place and what to do.
func ExampleDiagnostics_Render() {
	file := "rules:\n  - id: a\n    expression: any(process.ancestors, # == \"x\")\n    severty: high\n"
	_, diags := policy.LoadFS(fstest.MapFS{"p.yaml": {Data: []byte(file)}})
	for _, d := range diags {
		fmt.Println(d)
	}
	// Output:
	// p.yaml:3:40: error: YAML takes ' #' for the start of a comment and drops the rest of the expression [expression-comment]
	// p.yaml:4:5: error: a rule has no key "severty" [unknown-key]
}

// Importers build a Policy and print it.
func ExamplePrint() {
	p := &policy.Policy{
		Name: policy.Text{Value: "imported"},
		Rules: []policy.Rule{{
			ID:         policy.Text{Value: "win.shell"},
			Title:      "Shell: started",
			Expression: policy.Expr{Text: "evt.name == \"exec\" and\n  process.executable.path startsWith `C:\\Temp`"},
			Severity:   policy.Medium,
			Tags:       []string{"severity:medium", "tactic:execution"},
		}},
	}
	fmt.Print(string(policy.Print(p)))
	// Output:
	// name: imported
	//
	// rules:
	//   - id: win.shell
	//     title: 'Shell: started'
	//     expression: |
	//       evt.name == "exec" and
	//         process.executable.path startsWith `C:\Temp`
	//     severity: medium
	//     tags:
	//       tactic: execution
}
