package rules

// kind is the kind of a value in an expression, in our own terms: authors read these names in diagnostics.
type kind uint8

const (
	kindUnknown kind = iota // of a term with a fault, or of a macro's parameter while the macro is checked alone
	kindBool
	kindInt
	kindFloat
	kindText
	kindTime
	kindDuration
	kindList
	kindObject // something with fields: process, process.executable, an element of process.ancestors
)

func (k kind) String() string {
	return [...]string{"unknown", "bool", "int", "float", "text", "time", "duration", "list", "object"}[k]
}

// typ is the type of a term. It is a value: two types are equal when they are ==. The list of unknown elements
// is the empty list; nothing is ever an element of it, so no other type has an unknown part.
type typ struct {
	kind kind
	elem kind // of a list: the kind of its elements, kindUnknown for the empty list
}

var (
	typUnknown  = typ{}
	typBool     = typ{kind: kindBool}
	typInt      = typ{kind: kindInt}
	typFloat    = typ{kind: kindFloat}
	typText     = typ{kind: kindText}
	typTime     = typ{kind: kindTime}
	typDuration = typ{kind: kindDuration}
	typObject   = typ{kind: kindObject}
)

func listOf(k kind) typ { return typ{kind: kindList, elem: k} }

func (t typ) String() string {
	if t.kind != kindList {
		return t.kind.String()
	}
	switch t.elem {
	case kindUnknown:
		return "an empty list"
	case kindObject:
		return "list of processes"
	}
	return "list of " + t.elem.String() + "s"
}

func (t typ) unknown() bool { return t.kind == kindUnknown }
func (t typ) number() bool  { return t.kind == kindInt || t.kind == kindFloat }

// scalar says that a list can hold values of the kind.
func (k kind) scalar() bool { return k != kindUnknown && k != kindList && k != kindObject }

// comparable says whether == may stand between values of the kinds.
func comparable(a, b kind) bool {
	if (a == kindInt || a == kindFloat) && (b == kindInt || b == kindFloat) {
		return true
	}
	return a == b && a.scalar()
}

// ordered says whether < may stand between values of the kinds.
func ordered(a, b kind) bool { return comparable(a, b) && a != kindBool && b != kindBool }
