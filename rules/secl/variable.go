package secl

import (
	"regexp"
	"strconv"
	"strings"

	"spoor/rules/policy"
)

// setVariable is a variable that some rule sets, by the action that does it first.
type setVariable struct {
	kind    valueKind // textKind, intKind or boolKind
	list    bool
	initial string // the default, as written
	refusal string // why rules cannot read it
}

// variableName is what a policy of ours can call a variable. Events name them as the sensor does, so a name
// cannot be changed.
var variableName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// scopes are ours for those of SECL.
var scopes = map[string]string{"": "event", "process": "process", "container": "container"}

// readVariables finds what the actions of a rule set.
func (im *importer) readVariables(rule *policy.ImportNode) {
	actions := rule.Get("actions")
	if actions == nil {
		return
	}
	for _, action := range actions.Items {
		set := action.Get("set")
		if set == nil || set.Get("name") == nil {
			continue
		}
		name := textIn(set, "name")
		if scope := textIn(set, "scope"); scope != "" {
			name = scope + "." + name
		}
		if im.variables[name] == nil {
			im.variables[name] = newSetVariable(set)
		}
	}
}

func newSetVariable(set *policy.ImportNode) *setVariable {
	v := &setVariable{initial: textIn(set, "default_value")}
	value, initial, expression := set.Get("value"), set.Get("default_value"), set.Get("expression")
	appended := textIn(set, "append") == "true"
	ok := true
	switch {
	case textIn(set, "private") == "true":
		v.refusal = "it is private: the sensor does not send it"
	case !value.IsNull():
		if value.Kind == policy.ImportList && len(value.Items) > 0 {
			appended, value = true, value.Items[0]
		}
		v.kind, ok = scalarKind(value)
		v.list = appended
	case textIn(set, "field") != "":
		ref, found, why := resolve(textIn(set, "field"))
		v.kind, ok = ref.kind, found && why == "" && (ref.kind == textKind || ref.kind == intKind)
		v.list = appended || ref.array
	case !initial.IsNull():
		v.kind, ok = scalarKind(initial)
	case expression != nil && expression.Kind == policy.ImportText:
		v.kind, ok = expressionKind(expression)
	default:
		ok = false
	}
	if !ok && v.refusal == "" {
		v.refusal = "its type cannot be told from the action that sets it"
	}
	if v.list {
		v.initial = ""
	}
	return v
}

// scalarKind is the type of a value in YAML.
func scalarKind(n *policy.ImportNode) (valueKind, bool) {
	if n.Kind != policy.ImportText || n.IsNull() {
		return textKind, false
	}
	if n.Plain {
		if _, err := strconv.ParseInt(n.Text, 0, 64); err == nil {
			return intKind, true
		}
		switch strings.ToLower(n.Text) {
		case "true", "false":
			return boolKind, true
		}
	}
	return textKind, true
}

// expressionKind is the type of an expression that says it by its form.
func expressionKind(n *policy.ImportNode) (valueKind, bool) {
	tree, f := parse(textOf(n))
	if f != nil {
		return textKind, false
	}
	switch tree.kind {
	case stringNode:
		return textKind, true
	case intNode, durationNode:
		return intKind, true
	case logicalNode:
		return boolKind, true
	case identNode:
		ref, found, why := resolve(tree.text)
		return ref.kind, found && why == "" && !ref.array && (ref.kind == textKind || ref.kind == intKind)
	case binaryNode:
		if strings.Contains("+-&|^", tree.op) {
			return intKind, true
		}
		return boolKind, true
	}
	return textKind, false
}

// variable is ${name} as an operand.
func (c *compiler) variable(n *node, name string) (value, *fault) {
	base, length := strings.CutSuffix(name, ".length")
	if base == "process.pid" && !length {
		return c.field(n, base)
	}
	if strings.HasPrefix(base, "builtins.") {
		return value{}, n.faultf("${%s} is made by the agent and not part of events", name)
	}
	set := c.im.variables[base]
	if set == nil {
		return value{}, n.faultf("no rule of the sources sets ${%s}, so its type is not known", base)
	}
	scope, short, dotted := strings.Cut(base, ".")
	if !dotted {
		scope, short = "", base
	}
	ours, ok := scopes[scope]
	switch {
	case set.refusal != "":
		return value{}, n.faultf("variable ${%s}: %s", base, set.refusal)
	case !ok:
		return value{}, n.faultf("variable ${%s}: events carry variables of processes, containers and the event, not of a %s", base, scope)
	case !variableName.MatchString(short) || taken[short]:
		return value{}, n.faultf("variable ${%s}: policies cannot declare the name `%s`", base, short)
	}
	v := policy.Variable{Name: policy.Text{Value: short}, Scope: policy.Text{Value: ours}, Type: policy.Text{Value: typeName(set)}, Default: policy.Text{Value: set.initial}}
	if c.im.current.clashes(v) || c.clashes(v) {
		return value{}, n.faultf("variable ${%s}: the policy has another `%s`", base, short)
	}
	c.variables[short] = v
	c.note("variable: ${" + base + "} has what the sensor sends with the event, nothing here sets it")
	switch {
	case length && (set.list || set.kind == textKind):
		return value{node: n, kind: intKind, expr: "len(" + short + ")"}, nil
	case length:
		return value{}, n.faultf("only texts and lists have a length")
	case set.list:
		return value{node: n, kind: set.kind, expr: "#", over: short}, nil
	case set.kind == boolKind:
		return value{node: n, kind: boolKind, expr: short, cond: leafOf(policy.Call(short))}, nil
	}
	return value{node: n, kind: set.kind, expr: short}, nil
}

func typeName(v *setVariable) string {
	name := map[valueKind]string{textKind: "string", intKind: "int", boolKind: "bool"}[v.kind]
	if v.list {
		name = "[" + name + "]"
	}
	return name
}

// clashes says that the rule has another list or variable of the name already.
func (c *compiler) clashes(v policy.Variable) bool {
	other, known := c.variables[v.Name.Value]
	_, list := c.lists[v.Name.Value]
	return list || known && (other.Scope.Value != v.Scope.Value || other.Type.Value != v.Type.Value)
}
