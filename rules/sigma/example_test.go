package sigma_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"spoor/rules/policy"
	"spoor/rules/sigma"
)

func ExampleImport() {
	rule := policy.ImportSource{Name: "rules/whoami.yml", Path: "whoami.yml", Data: []byte(`
title: Whoami as SYSTEM
id: 3ef4b6e8-5a0b-4a3e-8f3c-2b7f6d1f0a11
logsource: {category: process_creation, product: windows}
detection:
    selection:
        - Image|endswith: '\whoami.exe'
        - OriginalFileName: whoami.exe
    user: {User|contains: [AUTHORI, AUTORI]}
    filter_main_agent: {ParentImage: 'C:\Agent\agent.exe'}
    condition: selection and user and not 1 of filter_main_*
level: high
`)}
	im := sigma.Import([]policy.ImportSource{rule}, sigma.Options{})
	fmt.Println(im.Rules[0].Status, im.Rules[0].Dropped)
	fmt.Println(strings.TrimSpace(string(policy.Print(im.Policies[0]))))
	// Output:
	// narrowed [rules/whoami.yml:8:11: OriginalFileName in selection]
	// name: sigma-process_creation
	//
	// rules:
	//   - id: sigma-3ef4b6e8-5a0b-4a3e-8f3c-2b7f6d1f0a11
	//     title: Whoami as SYSTEM
	//     expression: |
	//       evt.name == "exec"
	//         and process.executable.path endsWith `\whoami.exe`
	//         and (process.user contains "AUTHORI" or process.user contains "AUTORI")
	//     severity: high
	//     source:
	//       kind: sigma
	//       id: 3ef4b6e8-5a0b-4a3e-8f3c-2b7f6d1f0a11
	//     exceptions:
	//       - name: filter_main_agent
	//         expression: |
	//           process.parent.executable.path == `C:\Agent\agent.exe`
}

// TestReadme holds that the page names every field and category of the field map.
func TestReadme(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("mapping.yaml")
	if err != nil {
		t.Fatal(err)
	}
	root := policy.ReadImportDocuments(policy.ImportSource{Name: "mapping.yaml", Data: data})[0].Root
	for _, key := range []string{"fields", "categories"} {
		for _, e := range root.Get(key).Entries {
			if !strings.Contains(string(page), e.Key.Text) {
				t.Errorf("%s: the README does not name %s", e.Key.Span, e.Key.Text)
			}
		}
	}
}
