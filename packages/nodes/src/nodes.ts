/**
 * The enumerations of analyzed nodes, with PostgreSQL 15's numbers: they are part of the text form
 * of node trees stored in the catalogs (outfuncs.ts), so a number here never changes.
 */
export const CMD_UNKNOWN = 0;
export const CMD_SELECT = 1;
export const CMD_UPDATE = 2;
export const CMD_INSERT = 3;
export const CMD_DELETE = 4;
export const CMD_MERGE = 5;
export const CMD_UTILITY = 6;
export const CMD_NOTHING = 7;
export type CmdType = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

export const QSRC_ORIGINAL = 0;
export type QuerySource = 0 | 1 | 2 | 3 | 4;

export const JOIN_INNER = 0;
export const JOIN_LEFT = 1;
export const JOIN_FULL = 2;
export const JOIN_RIGHT = 3;
export const JOIN_SEMI = 4;
export const JOIN_ANTI = 5;
export type JoinType = 0 | 1 | 2 | 3 | 4 | 5;

export const RTE_RELATION = 0;
export const RTE_SUBQUERY = 1;
export const RTE_JOIN = 2;
export const RTE_FUNCTION = 3;
export const RTE_TABLEFUNC = 4;
export const RTE_VALUES = 5;
export const RTE_CTE = 6;
export const RTE_NAMEDTUPLESTORE = 7;
export const RTE_RESULT = 8;
export type RTEKind = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

export const PARAM_EXTERN = 0;
export const PARAM_EXEC = 1;
export const PARAM_SUBLINK = 2;
export const PARAM_MULTIEXPR = 3;
export type ParamKind = 0 | 1 | 2 | 3;

export const COERCE_EXPLICIT_CALL = 0;
export const COERCE_EXPLICIT_CAST = 1;
export const COERCE_IMPLICIT_CAST = 2;
export const COERCE_SQL_SYNTAX = 3;
/** How a function or cast was written, for deparsing. */
export type CoercionForm = 0 | 1 | 2 | 3;

export const COERCION_IMPLICIT = 0;
export const COERCION_ASSIGNMENT = 1;
export const COERCION_PLPGSQL = 2;
export const COERCION_EXPLICIT = 3;
/** How much freedom a coercion has; ordered. */
export type CoercionContext = 0 | 1 | 2 | 3;

/** Written by name in node trees, not by number. */
export type BoolExprType = 'and' | 'or' | 'not';

export const EXISTS_SUBLINK = 0;
export const ALL_SUBLINK = 1;
export const ANY_SUBLINK = 2;
export const ROWCOMPARE_SUBLINK = 3;
export const EXPR_SUBLINK = 4;
export const MULTIEXPR_SUBLINK = 5;
export const ARRAY_SUBLINK = 6;
export const CTE_SUBLINK = 7;
export type SubLinkType = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

export const IS_GREATEST = 0;
export const IS_LEAST = 1;
export type MinMaxOp = 0 | 1;

export const SVFOP_CURRENT_DATE = 0;
export const SVFOP_CURRENT_TIME = 1;
export const SVFOP_CURRENT_TIME_N = 2;
export const SVFOP_CURRENT_TIMESTAMP = 3;
export const SVFOP_CURRENT_TIMESTAMP_N = 4;
export const SVFOP_LOCALTIME = 5;
export const SVFOP_LOCALTIME_N = 6;
export const SVFOP_LOCALTIMESTAMP = 7;
export const SVFOP_LOCALTIMESTAMP_N = 8;
export const SVFOP_CURRENT_ROLE = 9;
export const SVFOP_CURRENT_USER = 10;
export const SVFOP_USER = 11;
export const SVFOP_SESSION_USER = 12;
export const SVFOP_CURRENT_CATALOG = 13;
export const SVFOP_CURRENT_SCHEMA = 14;
export type SQLValueFunctionOp = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14;

export const IS_NULL = 0;
export const IS_NOT_NULL = 1;
export type NullTestType = 0 | 1;

export const IS_TRUE = 0;
export const IS_NOT_TRUE = 1;
export const IS_FALSE = 2;
export const IS_NOT_FALSE = 3;
export const IS_UNKNOWN = 4;
export const IS_NOT_UNKNOWN = 5;
export type BoolTestType = 0 | 1 | 2 | 3 | 4 | 5;

/** The btree strategy numbers, and 6 for <>. */
export const ROWCOMPARE_LT = 1;
export const ROWCOMPARE_LE = 2;
export const ROWCOMPARE_EQ = 3;
export const ROWCOMPARE_GE = 4;
export const ROWCOMPARE_GT = 5;
export const ROWCOMPARE_NE = 6;
export type RowCompareType = 1 | 2 | 3 | 4 | 5 | 6;

export const SETOP_UNION = 1;
export const SETOP_INTERSECT = 2;
export const SETOP_EXCEPT = 3;
export type SetOperation = 1 | 2 | 3;

export const LIMIT_OPTION_COUNT = 0;
export const LIMIT_OPTION_WITH_TIES = 1;
export const LIMIT_OPTION_DEFAULT = 2;
export type LimitOption = 0 | 1 | 2;

export const LCS_NONE = 0;
export const LCS_FORKEYSHARE = 1;
export const LCS_FORSHARE = 2;
export const LCS_FORNOKEYUPDATE = 3;
export const LCS_FORUPDATE = 4;
export type LockClauseStrength = 0 | 1 | 2 | 3 | 4;

export const LOCK_WAIT_BLOCK = 0;
export const LOCK_WAIT_SKIP = 1;
export const LOCK_WAIT_ERROR = 2;
export type LockWaitPolicy = 0 | 1 | 2;

export const ONCONFLICT_NONE = 0;
export const ONCONFLICT_NOTHING = 1;
export const ONCONFLICT_UPDATE = 2;
export type OnConflictAction = 0 | 1 | 2;

export const OVERRIDING_NOT_SET = 0;
export const OVERRIDING_USER_VALUE = 1;
export const OVERRIDING_SYSTEM_VALUE = 2;
export type OverridingKind = 0 | 1 | 2;

export const CTE_MATERIALIZE_DEFAULT = 0;
export const CTE_MATERIALIZE_ALWAYS = 1;
export const CTE_MATERIALIZE_NEVER = 2;
export type CTEMaterialize = 0 | 1 | 2;

export const GROUPING_SET_EMPTY = 0;
export const GROUPING_SET_SIMPLE = 1;
export const GROUPING_SET_ROLLUP = 2;
export const GROUPING_SET_CUBE = 3;
export const GROUPING_SET_SETS = 4;
export type GroupingSetKind = 0 | 1 | 2 | 3 | 4;

/** Bits of WindowClause.frameOptions. */
export const FRAMEOPTION_NONDEFAULT = 0x00001;
export const FRAMEOPTION_RANGE = 0x00002;
export const FRAMEOPTION_ROWS = 0x00004;
export const FRAMEOPTION_GROUPS = 0x00008;
export const FRAMEOPTION_BETWEEN = 0x00010;
export const FRAMEOPTION_START_UNBOUNDED_PRECEDING = 0x00020;
export const FRAMEOPTION_END_UNBOUNDED_PRECEDING = 0x00040;
export const FRAMEOPTION_START_UNBOUNDED_FOLLOWING = 0x00080;
export const FRAMEOPTION_END_UNBOUNDED_FOLLOWING = 0x00100;
export const FRAMEOPTION_START_CURRENT_ROW = 0x00200;
export const FRAMEOPTION_END_CURRENT_ROW = 0x00400;
export const FRAMEOPTION_START_OFFSET_PRECEDING = 0x00800;
export const FRAMEOPTION_END_OFFSET_PRECEDING = 0x01000;
export const FRAMEOPTION_START_OFFSET_FOLLOWING = 0x02000;
export const FRAMEOPTION_END_OFFSET_FOLLOWING = 0x04000;
export const FRAMEOPTION_EXCLUDE_CURRENT_ROW = 0x08000;
export const FRAMEOPTION_EXCLUDE_GROUP = 0x10000;
export const FRAMEOPTION_EXCLUDE_TIES = 0x20000;
/** RANGE UNBOUNDED PRECEDING: 1058. */
export const FRAMEOPTION_DEFAULTS =
  FRAMEOPTION_RANGE | FRAMEOPTION_START_UNBOUNDED_PRECEDING | FRAMEOPTION_END_CURRENT_ROW;

/** Privilege bits of RangeTblEntry.requiredPerms. */
export const ACL_INSERT = 1;
export const ACL_SELECT = 2;
export const ACL_UPDATE = 4;
export const ACL_DELETE = 8;
/** SELECT ... FOR UPDATE/SHARE needs UPDATE permission: same bit. */
export const ACL_SELECT_FOR_UPDATE = ACL_UPDATE;

/** selectedCols and its like hold attnum + 7, so that system columns and the whole row (0) fit. */
export const FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER = -7;

/** Strategy numbers of btree operators. */
export const BTREE_STRATEGY_LESS = 1;
export const BTREE_STRATEGY_EQUAL = 3;
export const BTREE_STRATEGY_GREATER = 5;
