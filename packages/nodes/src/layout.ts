/**
 * The text layout of every node: its tag and its fields in the order PostgreSQL 15 writes them. One
 * table drives both writer and reader. Field kinds:
 *
 *   i int   u unsigned   o oid   e enum number   b bool   c char   s string   p location   x bare word
 *   n node   l list of nodes (or of lists)   g list of nodes or of integers
 *   S list of strings   I integer list   O oid list   B bitmapset   D Datum   U utility statement
 */
export type FieldKind =
  | 'i'
  | 'u'
  | 'o'
  | 'e'
  | 'b'
  | 'c'
  | 's'
  | 'p'
  | 'x'
  | 'n'
  | 'l'
  | 'g'
  | 'S'
  | 'I'
  | 'O'
  | 'B'
  | 'D'
  | 'U';

export interface FieldLayout {
  /** Property in our interface. */
  readonly prop: string;
  /** Label in the text. */
  readonly label: string;
  readonly kind: FieldKind;
}

const LAYOUTS: Readonly<Record<string, readonly [tag: string, fields: string]>> = {
  Alias: ['ALIAS', 'aliasname:s colnames:S'],
  TableFunc: [
    'TABLEFUNC',
    'ns_uris:l ns_names:S docexpr:n rowexpr:n colnames:S coltypes:O coltypmods:I colcollations:O colexprs:l coldefexprs:l notnulls:B ordinalitycol:i location:p',
  ],
  Var: [
    'VAR',
    'varno:i varattno:i vartype:o vartypmod:i varcollid:o varlevelsup:u varnosyn:u varattnosyn:i location:p',
  ],
  Const: [
    'CONST',
    'consttype:o consttypmod:i constcollid:o constlen:i constbyval:b constisnull:b location:p constvalue:D',
  ],
  Param: ['PARAM', 'paramkind:e paramid:i paramtype:o paramtypmod:i paramcollid:o location:p'],
  Aggref: [
    'AGGREF',
    'aggfnoid:o aggtype:o aggcollid:o inputcollid:o aggtranstype:o aggargtypes:O aggdirectargs:l args:l aggorder:l aggdistinct:l aggfilter:n aggstar:b aggvariadic:b aggkind:c agglevelsup:u aggsplit:e aggno:i aggtransno:i location:p',
  ],
  GroupingFunc: ['GROUPINGFUNC', 'args:l refs:I cols:I agglevelsup:u location:p'],
  WindowFunc: [
    'WINDOWFUNC',
    'winfnoid:o wintype:o wincollid:o inputcollid:o args:l aggfilter:n winref:u winstar:b winagg:b location:p',
  ],
  SubscriptingRef: [
    'SUBSCRIPTINGREF',
    'refcontainertype:o refelemtype:o refrestype:o reftypmod:i refcollid:o refupperindexpr:l reflowerindexpr:l refexpr:n refassgnexpr:n',
  ],
  FuncExpr: [
    'FUNCEXPR',
    'funcid:o funcresulttype:o funcretset:b funcvariadic:b funcformat:e funccollid:o inputcollid:o args:l location:p',
  ],
  NamedArgExpr: ['NAMEDARGEXPR', 'arg:n name:s argnumber:i location:p'],
  OpExpr: ['OPEXPR', 'opno:o opfuncid:o opresulttype:o opretset:b opcollid:o inputcollid:o args:l location:p'],
  DistinctExpr: [
    'DISTINCTEXPR',
    'opno:o opfuncid:o opresulttype:o opretset:b opcollid:o inputcollid:o args:l location:p',
  ],
  NullIfExpr: ['NULLIFEXPR', 'opno:o opfuncid:o opresulttype:o opretset:b opcollid:o inputcollid:o args:l location:p'],
  ScalarArrayOpExpr: [
    'SCALARARRAYOPEXPR',
    'opno:o opfuncid:o hashfuncid:o negfuncid:o useOr:b inputcollid:o args:l location:p',
  ],
  BoolExpr: ['BOOLEXPR', 'boolop:x args:l location:p'],
  SubLink: ['SUBLINK', 'subLinkType:e subLinkId:i testexpr:n operName:S subselect:n location:p'],
  SubPlan: [
    'SUBPLAN',
    'subLinkType:e testexpr:n paramIds:I plan_id:i plan_name:s firstColType:o firstColTypmod:i firstColCollation:o useHashTable:b unknownEqFalse:b setParam:I parParam:I args:l',
  ],
  FieldSelect: ['FIELDSELECT', 'arg:n fieldnum:i resulttype:o resulttypmod:i resultcollid:o'],
  FieldStore: ['FIELDSTORE', 'arg:n newvals:l fieldnums:I resulttype:o'],
  RelabelType: ['RELABELTYPE', 'arg:n resulttype:o resulttypmod:i resultcollid:o relabelformat:e location:p'],
  CoerceViaIO: ['COERCEVIAIO', 'arg:n resulttype:o resultcollid:o coerceformat:e location:p'],
  ArrayCoerceExpr: [
    'ARRAYCOERCEEXPR',
    'arg:n elemexpr:n resulttype:o resulttypmod:i resultcollid:o coerceformat:e location:p',
  ],
  ConvertRowtypeExpr: ['CONVERTROWTYPEEXPR', 'arg:n resulttype:o convertformat:e location:p'],
  CollateExpr: ['COLLATEEXPR', 'arg:n collOid:o location:p'],
  CaseExpr: ['CASEEXPR', 'casetype:o casecollid:o arg:n args:l defresult:n location:p'],
  CaseWhen: ['CASEWHEN', 'expr:n result:n location:p'],
  CaseTestExpr: ['CASETESTEXPR', 'typeId:o typeMod:i collation:o'],
  ArrayExpr: ['ARRAYEXPR', 'array_typeid:o array_collid:o element_typeid:o elements:l multidims:b location:p'],
  RowExpr: ['ROWEXPR', 'args:l row_typeid:o row_format:e colnames:S location:p'],
  RowCompareExpr: ['ROWCOMPAREEXPR', 'rctype:e opnos:O opfamilies:O inputcollids:O largs:l rargs:l'],
  CoalesceExpr: ['COALESCEEXPR', 'coalescetype:o coalescecollid:o args:l location:p'],
  MinMaxExpr: ['MINMAXEXPR', 'minmaxtype:o minmaxcollid:o inputcollid:o op:e args:l location:p'],
  SQLValueFunction: ['SQLVALUEFUNCTION', 'op:e type_:o typmod:i location:p'],
  XmlExpr: ['XMLEXPR', 'op:e name:s named_args:l arg_names:S args:l xmloption:e type_:o typmod:i location:p'],
  NullTest: ['NULLTEST', 'arg:n nulltesttype:e argisrow:b location:p'],
  BooleanTest: ['BOOLEANTEST', 'arg:n booltesttype:e location:p'],
  CoerceToDomain: ['COERCETODOMAIN', 'arg:n resulttype:o resulttypmod:i resultcollid:o coercionformat:e location:p'],
  CoerceToDomainValue: ['COERCETODOMAINVALUE', 'typeId:o typeMod:i collation:o location:p'],
  SetToDefault: ['SETTODEFAULT', 'typeId:o typeMod:i collation:o location:p'],
  CurrentOfExpr: ['CURRENTOFEXPR', 'cvarno:u cursor_name:s cursor_param:i'],
  NextValueExpr: ['NEXTVALUEEXPR', 'seqid:o typeId:o'],
  InferenceElem: ['INFERENCEELEM', 'expr:n infercollid:o inferopclass:o'],
  TargetEntry: ['TARGETENTRY', 'expr:n resno:i resname:s ressortgroupref:u resorigtbl:o resorigcol:i resjunk:b'],
  RangeTblRef: ['RANGETBLREF', 'rtindex:i'],
  JoinExpr: [
    'JOINEXPR',
    'jointype:e isNatural:b larg:n rarg:n usingClause:S join_using_alias:n quals:n alias:n rtindex:i',
  ],
  FromExpr: ['FROMEXPR', 'fromlist:l quals:n'],
  OnConflictExpr: [
    'ONCONFLICTEXPR',
    'action:e arbiterElems:l arbiterWhere:n constraint:o onConflictSet:l onConflictWhere:n exclRelIndex:i exclRelTlist:l',
  ],
  Query: [
    'QUERY',
    'commandType:e querySource:e canSetTag:b utilityStmt:U resultRelation:i hasAggs:b hasWindowFuncs:b hasTargetSRFs:b hasSubLinks:b hasDistinctOn:b hasRecursive:b hasModifyingCTE:b hasForUpdate:b hasRowSecurity:b isReturn:b cteList:l rtable:l jointree:n targetList:l override:e onConflict:n returningList:l groupClause:l groupDistinct:b groupingSets:l havingQual:n windowClause:l distinctClause:l sortClause:l limitOffset:n limitCount:n limitOption:e rowMarks:l setOperations:n constraintDeps:O withCheckOptions:l mergeActionList:l mergeUseOuterJoin:b stmt_location:p stmt_len:i',
  ],
  WithCheckOption: ['WITHCHECKOPTION', 'kind:e relname:s polname:s qual:n cascaded:b'],
  SortGroupClause: ['SORTGROUPCLAUSE', 'tleSortGroupRef:u eqop:o sortop:o nulls_first:b hashable:b'],
  GroupingSet: ['GROUPINGSET', 'kind:e content:g location:p'],
  WindowClause: [
    'WINDOWCLAUSE',
    'name:s refname:s partitionClause:l orderClause:l frameOptions:i startOffset:n endOffset:n runCondition:l startInRangeFunc:o endInRangeFunc:o inRangeColl:o inRangeAsc:b inRangeNullsFirst:b winref:u copiedOrder:b',
  ],
  RowMarkClause: ['ROWMARKCLAUSE', 'rti:u strength:e waitPolicy:e pushedDown:b'],
  CTESearchClause: ['CTESEARCHCLAUSE', 'search_col_list:S search_breadth_first:b search_seq_column:s location:p'],
  CTECycleClause: [
    'CTECYCLECLAUSE',
    'cycle_col_list:S cycle_mark_column:s cycle_mark_value:n cycle_mark_default:n cycle_path_column:s location:p cycle_mark_type:o cycle_mark_typmod:i cycle_mark_collation:o cycle_mark_neop:o',
  ],
  CommonTableExpr: [
    'COMMONTABLEEXPR',
    'ctename:s aliascolnames:S ctematerialized:e ctequery:n search_clause:n cycle_clause:n location:p cterecursive:b cterefcount:i ctecolnames:S ctecoltypes:O ctecoltypmods:I ctecolcollations:O',
  ],
  MergeAction: ['MERGEACTION', 'matched:b commandType:e override:e qual:n targetList:l updateColnos:I'],
  SetOperationStmt: [
    'SETOPERATIONSTMT',
    'op:e all:b larg:n rarg:n colTypes:O colTypmods:I colCollations:O groupClauses:l',
  ],
  RangeTblFunction: [
    'RANGETBLFUNCTION',
    'funcexpr:n funccolcount:i funccolnames:S funccoltypes:O funccoltypmods:I funccolcollations:O funcparams:B',
  ],
  TableSampleClause: ['TABLESAMPLECLAUSE', 'tsmhandler:o args:l repeatable:n'],
};

/** RangeTblEntry writes the fields of its kind between the common head and tail. */
const RTE_HEAD = 'alias:n eref:n rtekind:e';
const RTE_BY_KIND = [
  'relid:o relkind:c rellockmode:i tablesample:n',
  'subquery:n security_barrier:b',
  'jointype:e joinmergedcols:i joinaliasvars:l joinleftcols:I joinrightcols:I join_using_alias:n',
  'functions:l funcordinality:b',
  'tablefunc:n',
  'values_lists:l coltypes:O coltypmods:I colcollations:O',
  'ctename:s ctelevelsup:u self_reference:b coltypes:O coltypmods:I colcollations:O',
  'enrname:s enrtuples:i relid:o coltypes:O coltypmods:I colcollations:O',
  '',
];
const RTE_TAIL =
  'lateral:b inh:b inFromCl:b requiredPerms:u checkAsUser:o selectedCols:B insertedCols:B updatedCols:B extraUpdatedCols:B securityQuals:l';

function parseFields(spec: string): FieldLayout[] {
  if (spec === '') return [];
  return spec.split(' ').map(field => {
    const [prop, kind] = field.split(':') as [string, FieldKind];
    return { prop, label: prop === 'type_' ? 'type' : prop, kind };
  });
}

export interface NodeLayout {
  readonly type: string;
  readonly tag: string;
  readonly fields: readonly FieldLayout[];
}

export const LAYOUT_BY_TYPE: ReadonlyMap<string, NodeLayout> = new Map(
  Object.entries(LAYOUTS).map(([type, [tag, fields]]) => [type, { type, tag, fields: parseFields(fields) }]),
);
export const LAYOUT_BY_TAG: ReadonlyMap<string, NodeLayout> = new Map(
  [...LAYOUT_BY_TYPE.values()].map(layout => [layout.tag, layout]),
);
export const RTE_TAG = 'RANGETBLENTRY';
export const RTE_HEAD_FIELDS: readonly FieldLayout[] = parseFields(RTE_HEAD);
export const RTE_KIND_FIELDS: readonly (readonly FieldLayout[])[] = RTE_BY_KIND.map(parseFields);
export const RTE_TAIL_FIELDS: readonly FieldLayout[] = parseFields(RTE_TAIL);
