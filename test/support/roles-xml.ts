/** Roles that the users files of tests have, at the head of what is in them. */
export const ROLES_XML = `  <role name="administrator">
    <allow actions="publish subscribe" topics="**"/>
    <allow actions="list read create replace delete" files="**"/>
    <allow actions="administer observe"/>
  </role>
  <role name="ci">
    <allow actions="publish" topics="ci/\${user}/**"/>
    <allow actions="list read create" files="builds/\${user}/**"/>
  </role>
  <role name="reader">
    <allow actions="subscribe" topics="**"/>
    <allow actions="list read" files="**"/>
  </role>`
